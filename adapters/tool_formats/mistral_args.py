"""`[TOOL_CALLS]`, a name, `[ARGS]` and the arguments, for each call: Mistral since tokenizer v13.

Source: mistral-common, tokenizer v13. v11 has `[CALL_ID]` between the two, and is not meant.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r"\A(?!.*\[CALL_ID\]).*\[ARGS\]", re.DOTALL)
FORMAT = WrittenCalls(opening="[TOOL_CALLS]", middle="[ARGS]")
