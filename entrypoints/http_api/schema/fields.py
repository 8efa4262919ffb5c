"""Every field of a chat completion request, and what this server does with it.

The names are those of `CreateChatCompletionRequest` in OpenAI's API description. Nothing is
ignored: a field is honoured, or it is accepted only while it asks for nothing, or it is refused
by name. Null asks for nothing everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Place, Problem, problem


class Treatment(StrEnum):
    """What becomes of a field."""

    HONOURED = "honoured"
    NEUTRAL_ONLY = "neutral only"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """How one field is treated."""

    treatment: Treatment
    neutral: tuple[object, ...] = ()
    """Values besides null that ask for nothing."""
    note: str = ""
    """What it may be, for documentation."""

    def accepts(self, value: object) -> bool:
        """Whether an unsupported field may carry `value`. False and 0 are different values."""
        return value is None or any(
            value == neutral and isinstance(value, bool) is isinstance(neutral, bool)
            for neutral in self.neutral
        )


def honoured(note: str) -> FieldRule:
    """A field that does what it says."""
    return FieldRule(treatment=Treatment.HONOURED, note=note)


def neutral(*values: object) -> FieldRule:
    """A field that is accepted with null or one of `values` only."""
    return FieldRule(treatment=Treatment.NEUTRAL_ONLY, neutral=values)


REJECTED = FieldRule(treatment=Treatment.REJECTED)
"""A field that is accepted with null only."""

REQUEST_FIELDS: Mapping[str, FieldRule] = {
    "model": honoured("an id out of `/v1/models`"),
    "messages": honoured(
        "roles system or developer (one, first), user, assistant, tool; text and text parts, which "
        "are joined as they stand; the last turn is the user's or a tool's"
    ),
    "temperature": honoured("0 to 2, 1 where not set; 0 takes the likeliest token"),
    "top_p": honoured("above 0, up to 1"),
    "max_completion_tokens": honoured("1 or more; as far as the context reaches where not set"),
    "max_tokens": honoured("the deprecated name of `max_completion_tokens`"),
    "stop": honoured("a text, or up to 4"),
    "seed": honoured("a whole number of 64 bits; choice i is drawn with seed + i"),
    "n": honoured("1 to 128"),
    "stream": honoured("true or false"),
    "stream_options": honoured("`include_usage`; needs `stream`"),
    "frequency_penalty": honoured("-2 to 2; counts the answer's own tokens"),
    "presence_penalty": honoured("-2 to 2; counts the answer's own tokens"),
    "logit_bias": honoured("token ids, each with -100 to 100"),
    "logprobs": honoured("true or false; the model's own, before penalties and temperature"),
    "top_logprobs": honoured("0 to 20; needs `logprobs`"),
    "response_format": honoured(
        "types `text`, `json_object` and `json_schema`; every schema is held strictly"
    ),
    "modalities": neutral(["text"]),
    "tools": honoured(
        "functions; refused where the model's template leaves them out. A called function's "
        "arguments are held to its parameters where `strict` or `tool_choice` asks for it"
    ),
    "tool_choice": honoured(
        "`auto`, `none` (the model is told no tools), `required`, or one function, called once"
    ),
    "parallel_tool_calls": honoured("true where not set; false ends the answer after one call"),
    "functions": neutral([]),
    "function_call": neutral("none"),
    "store": neutral(False),
    "metadata": neutral({}),
    "service_tier": neutral("auto", "default"),
    "audio": REJECTED,
    "moderation": REJECTED,
    "prediction": REJECTED,
    "prompt_cache_key": REJECTED,
    "prompt_cache_options": REJECTED,
    "prompt_cache_retention": REJECTED,
    "reasoning_effort": REJECTED,
    "safety_identifier": REJECTED,
    "user": REJECTED,
    "verbosity": REJECTED,
    "web_search_options": REJECTED,
}

MESSAGE_FIELDS: Mapping[str, FieldRule] = {
    "role": honoured("system, developer, user, assistant or tool"),
    "content": honoured("text, or a list of text parts; may be null beside `tool_calls`"),
    "tool_calls": honoured("calls the assistant made, each with its result in a later turn"),
    "tool_call_id": honoured("the call whose result a turn of role tool is"),
    "annotations": neutral([]),
    "audio": REJECTED,
    "function_call": REJECTED,
    "name": REJECTED,
    "refusal": REJECTED,
}
"""Fields of one message; a reply of this server can be sent back as it is."""

STREAM_FIELDS: Mapping[str, FieldRule] = {
    "include_usage": honoured("whether a last chunk tells the tokens"),
    "include_obfuscation": neutral(False),
}
"""Fields of `stream_options`."""


def supported(
    values: Mapping[str, object], rules: Mapping[str, FieldRule], prefix: str = ""
) -> tuple[dict[str, object], list[Problem]]:
    """The honoured fields of `values`, and a problem for every other field that asks for more."""
    kept: dict[str, object] = {}
    problems = []
    for name, value in values.items():
        rule = rules.get(name)
        if rule is not None and rule.treatment is Treatment.HONOURED:
            kept[name] = value
        elif rule is None or not rule.accepts(value):
            field = prefix + name
            problems.append(problem("request-unsupported-field", Place(field=field), field=field))
    return kept, problems
