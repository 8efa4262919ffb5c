"""A JSON list of calls after `[TOOL_CALLS]`: Mistral 7B v0.3 to Mistral Small 3.

Source: mistral-common, tokenizers v2 to v7. Those from v11 on write `[ARGS]` and are not meant.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r"\A(?!.*\[ARGS\]).*\[TOOL_CALLS\]", re.DOTALL)
FORMAT = WrittenCalls(opening="[TOOL_CALLS]", listed=True)
