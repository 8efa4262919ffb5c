"""The answer is one JSON object of a name and `parameters`: Llama 3.1 to 3.3, and Llama 4.

Source: Meta's Llama 3.1 model card, JSON based tool calling. Their templates take one call a turn.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r'"name\\?": function name, \\?"parameters\\?":')
FORMAT = WrittenCalls(opening="", arguments="parameters", several=False)
