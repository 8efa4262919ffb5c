"""A JSON list of calls after `<|tool_call|>`: Granite 3.

Source: Granite 3.0 model card and chat template.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r"<\|tool_call\|>(?!.*<\|/tool_call\|>)", re.DOTALL)
FORMAT = WrittenCalls(opening="<|tool_call|>", listed=True)
