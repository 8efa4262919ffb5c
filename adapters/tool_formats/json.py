"""The answer is a JSON object, or a list of them, of a name and arguments: nothing else is known.

What OpenAI's own API has inside `function`, without marks; templates tell no other format.
"""

import re

from adapters.written_calls import WrittenCalls

SIGN = re.compile(r"(?!)")
FORMAT = WrittenCalls(opening="", listed=True)
