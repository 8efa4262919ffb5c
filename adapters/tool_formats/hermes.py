"""Each call as JSON between `<tool_call>` and `</tool_call>`: Hermes, Qwen 2.5, Qwen 3, Granite 4.

Source: https://github.com/NousResearch/Hermes-Function-Calling, and the Qwen2.5 chat template.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r'<tool_call>(?:\\n|\s)*\{\\?"(?:name|arguments)')
FORMAT = WrittenCalls(opening="<tool_call>", closing="</tool_call>", gap="\n", between="\n")
