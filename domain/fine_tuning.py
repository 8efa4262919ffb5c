"""Fine-tuning jobs as OpenAI's API asks for them, mapped onto run specs and back onto runs.

Pure: what a request means as a spec, what a model is called, where a run is in OpenAI's words,
and the table of figures that a finished job leaves.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from domain.errors import HextuneError, Place, Problem
from domain.events import EventKind, JobEvent, stage_figures
from domain.fingerprint import Json
from domain.job import Job, JobStatus

ORGANIZATION = "hextune"
"""Owns every job and model; part of a model's name."""
SECTION = "hextune"
"""The key of a request under which sections of a run spec travel."""
RECORD = "fine_tuning.json"
"""File of a run folder: what the request said."""

MethodName = Literal["supervised", "dpo", "reinforcement"]
STAGES: Mapping[str, str] = {"supervised": "sft", "dpo": "dpo", "reinforcement": "grpo"}
"""Method to the stage that does it."""
METHODS: Mapping[str, MethodName] = {"dpo": "dpo", "grpo": "reinforcement"}
"""Stage to the method it is shown as; any other is shown as supervised."""
MOST_AT_ONCE = 8
"""Rows of one forward pass, where a batch is larger: a choice for memory, the steps are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Numbers of a method; our own defaults where not set, which OpenAI calls auto."""

    n_epochs: int | None = None
    """Passes over the training rows."""
    batch_size: int | None = None
    """Rows of one optimizer step."""
    learning_rate_multiplier: float | None = None
    """Factor on the learning rate that would be taken."""
    beta: float | None = None
    """DPO: how far the model may leave the reference."""
    eval_interval: int | None = None
    """Reinforcement: steps between evaluations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneRequest:
    """A request without mistakes of form."""

    model: str
    """The model to start from, as named."""
    training_file: str
    """File id."""
    validation_file: str | None = None
    """File id."""
    suffix: str | None = None
    """Part of the result's name."""
    seed: int | None = None
    """Seed of every random choice; the spec's own where not set."""
    method: MethodName | None = None
    """The method asked for; supervised where not set."""
    hyperparameters: Hyperparameters = Hyperparameters()
    """Its numbers."""
    place: str = "hyperparameters"
    """Where in the request they stand."""
    rewards: Sequence[Mapping[str, Json]] = ()
    """Reinforcement: rewards of stage grpo, made of the grader."""
    answer_column: str | None = None
    """Reinforcement: the column that holds each row's reference."""
    trackers: Sequence[Mapping[str, Json]] = ()
    """Other places that figures go to, as a spec names them."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's own notes."""
    sections: Mapping[str, Json] = field(default_factory=dict)
    """Sections of a run spec."""
    echo: Mapping[str, Json] = field(default_factory=dict)
    """What replies repeat as it was asked: the grader."""

    def record(self) -> dict[str, Json]:
        """What is kept of it beside the run."""
        return {
            "model": self.model,
            "training_file": self.training_file,
            "validation_file": self.validation_file,
            "suffix": self.suffix,
            "metadata": dict(self.metadata),
            "multiplier": self.hyperparameters.learning_rate_multiplier,
            "echo": dict(self.echo),
        }


Fields = dict[str, str]
"""Key of a spec to the field of the request that set it."""


def spec_values(
    asked: FineTuneRequest, model: Mapping[str, Json], files: Sequence[str]
) -> tuple[dict[str, Json], Fields]:
    """(a run spec, who set its keys); `files` are paths of training and of validation rows.

    The multiplier of the learning rate is left to `scaled`. Raises HextuneError for keys that a
    request may not set, or sets twice.
    """
    values = _copied(asked.sections)
    fields: Fields = {}
    problems = [*_unfit(values, SECTION)]
    for key, source, value in _wanted(asked, model, files):
        if value is None or value == []:
            continue
        fields[key] = source
        if _holds(values, key):
            problems.append(_bad(f"{SECTION}.{key}", f"`{source}` says it already"))
        else:
            _set(values, key, value)
    if problems:
        raise HextuneError(problems)
    return values, fields


def _wanted(
    asked: FineTuneRequest, model: Mapping[str, Json], files: Sequence[str]
) -> list[tuple[str, str, Json]]:
    """(key of a spec, field of the request, value); nothing is asked by null and empty lists."""
    numbers, place = asked.hyperparameters, asked.place
    batch = numbers.batch_size
    per_device = batch and max(n for n in range(1, MOST_AT_ONCE + 1) if batch % n == 0)
    columns: Mapping[str, Json] = (
        {"columns": {"answer": asked.answer_column}} if asked.answer_column else {}
    )
    training, *validation = [{"path": path, **columns} for path in files]
    stage = STAGES[asked.method] if asked.method else None
    return [
        ("name", "suffix", asked.suffix or "fine-tune"),
        ("data.train", "training_file", [training]),
        ("data.eval", "validation_file", validation),
        ("seed", "seed", asked.seed),
        ("stage.name", "method.type", stage),
        ("stage.beta", f"{place}.beta", numbers.beta),
        ("stage.rewards", "method.reinforcement.grader", [dict(each) for each in asked.rewards]),
        ("schedule.epochs", f"{place}.n_epochs", numbers.n_epochs),
        ("batching.per_device", f"{place}.batch_size", per_device),
        ("batching.accumulate", f"{place}.batch_size", batch and batch // (per_device or 1)),
        ("tracking.trackers", "integrations", [dict(each) for each in asked.trackers]),
        ("tracking.eval_every_steps", f"{place}.eval_interval", numbers.eval_interval),
        *((f"model.{key}", "model", value) for key, value in model.items()),
    ]


def scaled(values: dict[str, Json], name: str, rate: float) -> dict[str, Json]:
    """The spec with another learning rate of the optimizer called `name`."""
    section = values.get("optimizer")
    rest = section if isinstance(section, dict) else {}
    return {**values, "optimizer": {"name": name, **rest, "learning_rate": rate}}


def _copied(value: Mapping[str, Json]) -> dict[str, Json]:
    return {key: _copied(each) if isinstance(each, dict) else each for key, each in value.items()}


def _holds(values: Mapping[str, Json], key: str) -> bool:
    """Whether a key is set, or its section is no section at all."""
    first, _, rest = key.partition(".")
    if first not in values:
        return False
    inner = values[first]
    return not rest or not isinstance(inner, dict) or _holds(inner, rest)


def _set(values: dict[str, Json], key: str, value: Json) -> None:
    first, _, rest = key.partition(".")
    if not rest:
        values[first] = value
        return
    inner = values.setdefault(first, {})
    assert isinstance(inner, dict)
    _set(inner, rest, value)


PATH = re.compile(r"[/~]|\.\.?(/|$)|.*://|.*/\.\.(/|$)|\S+\.(jinja|py|json|jsonl|ya?ml|gguf)$")
"""Texts that name a file of this machine, or one elsewhere."""
NAMING = frozenset({"path", "file", "folder", "config", "url", "uri", "media_root", "key_variable"})
"""Keys that name files, addresses or variables of this machine."""


def _unfit(value: Json, field: str) -> Iterable[Problem]:
    """Keys that would read files of this machine, or run code that came with them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            inside = f"{field}.{key}"
            if key.startswith("trust_") or key in NAMING:
                place = Place(field=inside)
                facts = {"field": inside}
                yield Problem(code="request-unsupported-field", place=place, facts=facts)
            else:
                yield from _unfit(inner, inside)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unfit(inner, f"{field}.{number}")
    elif isinstance(value, str) and PATH.match(value):
        yield _bad(field, "it is a path, and this door takes none")


def _bad(field: str, reason: str) -> Problem:
    facts = {"field": field, "reason": reason}
    return Problem(code="request-bad-field", place=Place(field=field), facts=facts)


def in_callers_words(
    error: HextuneError, files: Mapping[str, tuple[str, str]], fields: Fields | None = None
) -> HextuneError:
    """`error` about fields and file names of the request instead of keys and paths of a spec.

    `files` is path to (field, name). Keys that `fields` does not know stand under `hextune`.
    """
    return HextuneError([_in_words(each, files, fields) for each in error.problems])


def _in_words(
    found: Problem, files: Mapping[str, tuple[str, str]], fields: Fields | None
) -> Problem:
    facts = dict(found.facts)
    for path, (_, name) in files.items():
        facts = {key: value.replace(path, name) for key, value in facts.items()}
    place = found.place
    if place.file is not None and place.file in files:
        where, name = files[place.file]
        if place.line and "reason" in facts:
            column = f", {place.field}" if place.field else ""
            facts["reason"] = f"line {place.line}{column}: {facts['reason']}"
        place = replace(place, file=name, field=where)
    elif place.field is not None and fields is not None:
        theirs = _their_field(place.field, fields)
        if facts.get("key") == place.field:
            facts["key"] = theirs
        place = Place(field=theirs)
    return replace(found, place=place, facts=facts)


def _their_field(key: str, fields: Fields) -> str:
    known = key
    while known:
        if known in fields:
            return fields[known]
        known = known.rpartition(".")[0]
    return f"{SECTION}.{key}"


class FineTuneStatus(StrEnum):
    """Where a job is, in OpenAI's words; paused is ours, as their API can pause and names none."""

    VALIDATING = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def status_of(job: Job, *, cancelled: bool, validating: bool) -> FineTuneStatus:
    """A run's state; a run that was told to cancel is cancelled unless it finished first."""
    if job.status is JobStatus.SUCCEEDED:
        return FineTuneStatus.SUCCEEDED
    if cancelled:
        return FineTuneStatus.CANCELLED
    if job.status is JobStatus.RUNNING and validating:
        return FineTuneStatus.VALIDATING
    if job.status is JobStatus.STOPPED:
        return FineTuneStatus.PAUSED
    return FineTuneStatus(job.status.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTunedName:
    """A fine-tuned model's name taken apart: ft:BASE:ORGANIZATION:SUFFIX:RUN[:ckpt-step-N]."""

    run: str
    """The run's id."""
    step: int | None
    """The checkpoint's step; None for the finished model."""


NAME = re.compile(r"ft:.*?:([A-Za-z0-9][A-Za-z0-9._-]*?)(?::ckpt-step-(\d{1,12}))?")


def model_name(base: str, suffix: str, run: str, step: int | None = None) -> str:
    """A fine-tuned model's name; a base in a folder is called by the folder's name."""
    short = base.rstrip("/").rpartition("/")[2] if base.startswith(("/", ".", "~")) else base
    checkpoint = "" if step is None else f":ckpt-step-{step}"
    return f"ft:{short}:{ORGANIZATION}:{suffix}:{run}{checkpoint}"


def parsed_name(name: str) -> FineTunedName | None:
    """The run and step a name speaks of; None where it is no fine-tuned model's."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    return FineTunedName(run=found[1], step=int(found[2]) if found[2] else None)


def metrics_csv(events: Iterable[JobEvent]) -> str:
    """Figures of every step as CSV; training and validation figures of one step share a line."""
    rows: dict[int, dict[str, Json]] = {}
    for event in events:
        step = event.data.get("step")
        if not isinstance(step, int) or event.kind not in (EventKind.STEP, EventKind.EVALUATION):
            continue
        row = rows.setdefault(step, {"step": step})
        row |= step_metrics(event)
    names = ["step", "train_loss", "valid_loss"]
    names += sorted({name for row in rows.values() for name in row} - set(names))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[step] for step in sorted(rows))
    return text.getvalue()


def step_metrics(event: JobEvent) -> dict[str, Json]:
    """Figures of a step or an evaluation by OpenAI's names, and our own beside them."""
    data = event.data
    if event.kind is EventKind.EVALUATION:
        own: dict[str, Json] = {f"valid_{k}": v for k, v in stage_figures(data).items()}
        return {"valid_loss": data.get("loss"), **own}
    kept = ("learning_rate", "grad_norm", "tokens")
    return {
        "train_loss": data.get("loss"),
        **{name: data[name] for name in kept if name in data},
        **stage_figures(data),
    }
