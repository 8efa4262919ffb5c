"""Every field of a completion request, and what this server does with it.

The names are those of `CreateCompletionRequest` in OpenAI's API description.
"""

from collections.abc import Mapping

from entrypoints.http_api.schema.fields import REJECTED, FieldRule, honoured, neutral

COMPLETION_FIELDS: Mapping[str, FieldRule] = {
    "model": honoured("an id out of `/v1/models`"),
    "prompt": honoured("a text, token ids, or a list of either; no template is applied"),
    "max_tokens": honoured("0 or more, 16 where not set; 0 needs `echo`"),
    "temperature": honoured("0 to 2, 1 where not set; 0 takes the likeliest token"),
    "top_p": honoured("above 0, up to 1"),
    "n": honoured("1 to 128 answers, with those of all prompts"),
    "echo": honoured("whether the prompt comes first, with its log-probabilities where asked for"),
    "logprobs": honoured("0 to 5 likeliest tokens beside each one, which itself is always told"),
    "stop": honoured("a text, or up to 4"),
    "seed": honoured("a whole number of 64 bits; choice i is drawn with seed + i"),
    "frequency_penalty": honoured("-2 to 2; counts the answer's own tokens"),
    "presence_penalty": honoured("-2 to 2; counts the answer's own tokens"),
    "logit_bias": honoured("token ids, each with -100 to 100"),
    "stream": honoured("true or false"),
    "stream_options": honoured("`include_usage`; needs `stream`"),
    "best_of": neutral(1),
    "suffix": neutral(""),
    "user": REJECTED,
}
