"""A JSON list of calls after `[TOOL_CALLS]`: Mistral 7B v0.3 to Mistral Small 3.

Source: mistral-common, tokenizers v2 to v7. Later ones: `mistral_args`.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r"\A(?!.*\[ARGS\]).*\[TOOL_CALLS\]", re.DOTALL)
FORMAT = WrittenCalls(opening="[TOOL_CALLS]", listed=True)
