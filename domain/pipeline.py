"""Pipelines: chains of steps in one file, each a run that goes on from an earlier one's result.

The file's other sections are defaults of every step, and a step's own values win. `step:NAME`
stands for what an earlier step makes: a run, or the rows it wrote. Two kinds of step write rows:
SPIN (Chen et al. 2024, "Self-Play Fine-Tuning Converts Weak Language Models to Strong Language
Models") prefers a row's own answer to the model's; self-rewarding language models (Yuan et al.
2024) score their answers themselves, and their best one is preferred to their worst.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.fingerprint import fingerprint
from domain.run_spec import CHOICES
from domain.section import limited, options_of, section

STEP = "step:"
"""What a reference to an earlier step begins with."""
ROWS_FILE = "pairs.jsonl"
"""The rows a generating step makes, in its run's folder."""
IDENTITY = ("name", "revision", "trust_remote_code", "template", "new_tokens", "rope")
"""Keys of the model that say which one it is; the others say how it is trained."""
JUDGE_PROMPT = """\
Review the question and the response below. Begin with 0 points and add one for each that holds:
the response has to do with the question; it answers a good part of it; it answers the basics in a
useful way; it is clear, complete and written for the person who asks; it is of an expert's quality,
with nothing that does not belong.

Question: {question}

Response: {answer}

Give the reason in one sentence, then end with "Score: " and the points, from 0 to 5."""


@section
class GenerateSection:
    """A step that writes answers to the prompts of data.train and makes preferences of them."""

    chosen: Literal["own", "best"] = "own"
    """Which answer is preferred: the row's own, to each the model writes (SPIN), or the best of
    those it writes by its own judgement, to the worst (self-rewarding)."""
    answers: int = limited(1, ge=1)
    """Answers written to each prompt; chosen: best needs two."""
    max_tokens: int = limited(256, ge=1)
    """Longest answer, in tokens."""
    temperature: float = limited(1.0, ge=0, le=2)
    """How varied answers and judgements are; 0 takes the likeliest token."""
    top_p: float = limited(1.0, gt=0, le=1)
    """Draw from the smallest set of tokens with this share of the probability."""
    judge: str = JUDGE_PROMPT
    """chosen: best: what the model is asked about each answer, with {question} and {answer}; the
    last `Score: N` of what it says counts, from 0 to 5."""
    judgements: int = limited(1, ge=1)
    """chosen: best: judgements of each answer; their mean is its score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStep:
    """One step, its references to others as they are until those have run."""

    name: str
    """The step's name."""
    source: str | None
    """The step it goes on from; None for the model its spec names."""
    spec: Mapping[str, Any]
    """Its run spec as plain values; of a generating step, whose model, rows and seed it has."""
    generate: GenerateSection | None = None
    """What is written; None for a step that trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """A whole pipeline, every default filled in."""

    name: str
    """A short name for people."""
    steps: Sequence[PipelineStep]
    """In the order they run."""

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {"name": self.name, "pipeline": [asdict(step) for step in self.steps]}

    @property
    def hash(self) -> str:
        """Content hash (64 hex digits)."""
        return fingerprint(self.as_json())

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PipelineSpec":
        """The pipeline `as_json` described."""
        return cls(
            name=values["name"], steps=[_step_from_json(each) for each in values["pipeline"]]
        )


def _step_from_json(values: Mapping[str, Any]) -> PipelineStep:
    written = values["generate"]
    return PipelineStep(
        name=values["name"],
        source=values["source"],
        spec=values["spec"],
        generate=options_of(GenerateSection, written) if written else None,
    )


def joined(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`shared` with `own` on top, mapping by mapping; a part of another name replaces its section.

    Options of one method say nothing about another.
    """
    found = dict(shared)
    for key, value in own.items():
        before = found.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            names = {each["name"] for each in (before, value) if "name" in each}
            other = key in CHOICES and len(names) > 1
            found[key] = value if other else joined(before, value)
        else:
            found[key] = value
    return found


def model_over(
    shared: Mapping[str, Any],
    own: Mapping[str, Any],
    source: Mapping[str, Any],
    *,
    step: str,
    adapter: bool,
) -> dict[str, Any]:
    """The model section of a step that goes on from the result of `step`, whose own is `source`.

    An adapter goes onto the model it was trained over; whole weights are a model of their own.
    """
    training = {k: v for k, v in shared.items() if k not in (*IDENTITY, "adapters")}
    if not adapter:
        return joined(training, {"name": STEP + step, **own})
    identity = {key: source[key] for key in IDENTITY if key in source}
    return {**joined({**training, **identity}, own), "adapters": [STEP + step]}


def references(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, name) of every `step:NAME` in plain values."""
    if isinstance(value, str) and value.startswith(STEP):
        yield path, value.removeprefix(STEP)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from references(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from references(inner, f"{path}.{number}")


def replaced(value: Any, found: Callable[[str, str], str], path: str = "") -> Any:
    """Plain values with `found(path, name)` for every `step:NAME`."""
    if isinstance(value, str) and value.startswith(STEP):
        return found(path, value.removeprefix(STEP))
    if isinstance(value, Mapping):
        return {
            key: replaced(inner, found, f"{path}.{key}" if path else str(key))
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [replaced(each, found, f"{path}.{number}") for number, each in enumerate(value)]
    return value
