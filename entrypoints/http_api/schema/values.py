"""Values that several requests carry, and what is said about bad ones."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.errors import Place, Problem, problem
from domain.sampling import Sampling
from entrypoints.http_api.schema.fields import STREAM_FIELDS, supported

MAX_SEED = 2**63 - 1
MOST_ANSWERS = 128
"""Answers that one request may ask for."""


class Strict(BaseModel):
    """No value is converted, and no field beyond the model's is taken."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class StreamOptions(Strict):
    """What a stream carries besides text."""

    include_usage: bool | None = None


def as_stops(stop: object) -> object:
    """Stop texts as a list; a plain text is one."""
    return [stop] if isinstance(stop, str) else stop


def by_token(bias: object) -> object:
    """A bias whose keys are token ids; JSON writes them as texts."""
    if not isinstance(bias, dict):
        return bias
    wrong = next((key for key in bias if not (key.isascii() and key.isdecimal())), None)
    if wrong is not None or any(len(key) > len(str(2**31)) for key in bias):
        raise ValueError("its keys are not all token ids")
    return {int(key): value for key, value in bias.items()}


StopText = Annotated[str, Field(min_length=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class DrawnBody(Strict):
    """How tokens are drawn, in every request for answers."""

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Annotated[
        Annotated[list[StopText], Field(max_length=4)] | None, BeforeValidator(as_stops)
    ] = None
    seed: Annotated[int, Field(ge=-MAX_SEED - 1, le=MAX_SEED)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[
        dict[int, Annotated[float, Field(ge=-100, le=100)]] | None, BeforeValidator(by_token)
    ] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the tokens used."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def drawn(self, index: int) -> Sampling:
        """How choice `index` is drawn, but for what only one kind of request can ask."""
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            stop=tuple(self.stop or ()),
            seed=None if self.seed is None else self.seed + index,
            frequency_penalty=self.frequency_penalty or 0.0,
            presence_penalty=self.presence_penalty or 0.0,
            logit_bias=tuple((self.logit_bias or {}).items()),
        )


def stream_options(kept: dict[str, object]) -> list[Problem]:
    """Problems of `stream_options`, whose honoured fields alone are left in `kept`."""
    problems: list[Problem] = []
    options = kept.get("stream_options")
    if isinstance(options, dict):
        kept["stream_options"], problems = supported(options, STREAM_FIELDS, "stream_options.")
    if options is not None and not kept.get("stream"):
        problems.append(bad("stream_options", "it is only for requests with stream true"))
    return problems


def invalid(error: ValidationError) -> list[Problem]:
    """Our problems for what a schema found."""
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        field = shown_path(found["loc"])
        if found["type"] == "extra_forbidden":
            problems.append(problem("request-unsupported-field", Place(field=field), field=field))
        else:
            reason = found["msg"].removeprefix("Value error, ")
            problems.append(bad(field, reason[:1].lower() + reason[1:]))
    return problems


def bad(field: str, reason: str) -> Problem:
    """A field with a wrong value."""
    return problem("request-bad-field", Place(field=field), field=field, reason=reason)


def shown_path(parts: tuple[int | str, ...]) -> str:
    """A path as OpenAI writes it: messages[0].content[1].text."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
