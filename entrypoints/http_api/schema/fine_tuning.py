"""Requests for fine-tuning jobs: every mistake found at once, then what they ask for.

The fields are those of OpenAI's `CreateFineTuningJobRequest`; sections of a run spec stand beside
them under `hextune`, where a spec's own reader judges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from domain.errors import HextuneError, Problem
from domain.fine_tuning import SECTION, FineTuneRequest, Hyperparameters, MethodName
from domain.fingerprint import Json
from entrypoints.http_api.schema.graders import Graded, grader_problems, rewards_of
from entrypoints.http_api.schema.values import Strict, bad, invalid

DRY_RUN = "dry_run"
"""Key under `hextune` that asks for the plan only."""


def auto_is_none(value: object) -> object:
    """OpenAI's auto, which leaves a number to us."""
    return None if value == "auto" else value


Count = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(auto_is_none)]
Positive = Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(auto_is_none)]
OnlyAuto = Annotated[None, BeforeValidator(auto_is_none)]
"""A number that nothing here would heed."""


class Numbers(Strict):
    """Hyperparameters of method supervised."""

    n_epochs: Count = None
    batch_size: Count = None
    learning_rate_multiplier: Positive = None


class DpoNumbers(Numbers):
    """Hyperparameters of method dpo."""

    beta: Positive = None


class ReinforcementNumbers(Numbers):
    """Hyperparameters of method reinforcement."""

    eval_interval: Count = None
    compute_multiplier: OnlyAuto = None
    eval_samples: OnlyAuto = None
    reasoning_effort: Literal["default"] | None = None


class Supervised(Strict):
    """Method supervised."""

    hyperparameters: Numbers | None = None


class Dpo(Strict):
    """Method dpo."""

    hyperparameters: DpoNumbers | None = None


class Reinforcement(Strict):
    """Method reinforcement; what judges answers is read by `schema.graders`."""

    grader: dict[str, Any]
    hyperparameters: ReinforcementNumbers | None = None


class Method(Strict):
    """The method and its section."""

    type: MethodName
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: Reinforcement | None = None


class WandbProject(Strict):
    """Where figures go in Weights & Biases."""

    project: Annotated[str, Field(min_length=1)]
    entity: str | None = None
    tags: list[str] | None = None


class Integration(Strict):
    """Another place that figures go to."""

    type: Literal["wandb"]
    wandb: WandbProject


Note = Annotated[str, Field(max_length=512)]
Metadata = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Note], Field(max_length=16)
]
FileId = Annotated[str, Field(pattern=r"^file-[0-9a-f]{24,32}$")]


class JobBody(Strict):
    """The fields, as they arrive."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    training_file: FileId
    validation_file: FileId | None = None
    suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    hyperparameters: Numbers | None = None
    method: Method | None = None
    integrations: list[Integration] | None = None
    metadata: Metadata | None = None
    hextune: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request without mistakes of form."""

    asked: FineTuneRequest
    """What is to be done."""
    dry_run: bool
    """Whether only the plan is wanted."""


def read_job(values: object) -> JobRequest:
    """The request in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    try:
        body = JobBody.model_validate(values)
    except ValidationError as error:
        raise HextuneError(invalid(error)) from error
    sections = dict(body.hextune or {})
    dry_run = sections.pop(DRY_RUN, False)
    problems = conflicts(body)
    if not isinstance(dry_run, bool):
        problems.append(bad(f"{SECTION}.{DRY_RUN}", "it is neither true nor false"))
    if problems:
        raise HextuneError(problems)
    return JobRequest(asked=wanted(body, sections), dry_run=dry_run)


def conflicts(body: JobBody) -> list[Problem]:
    """Fields that may be valid alone and are not together."""
    problems: list[Problem] = []
    method = body.method
    if method is None:
        return problems
    if body.hyperparameters is not None:
        problems.append(bad("hyperparameters", "they stand under method, which is given too"))
    for name in ("supervised", "dpo", "reinforcement"):
        section: BaseModel | None = getattr(method, name)
        if section is not None and name != method.type:
            problems.append(bad(f"method.{name}", f"the method is {method.type}"))
    if method.type == "reinforcement":
        grader = method.reinforcement.grader if method.reinforcement else None
        problems += grader_problems(grader)
    return problems


def wanted(body: JobBody, sections: Mapping[str, Json]) -> FineTuneRequest:
    """What a valid body asks for."""
    method = body.method
    part = None
    if method is not None:
        parts = {
            "supervised": method.supervised,
            "dpo": method.dpo,
            "reinforcement": method.reinforcement,
        }
        part = parts[method.type]
    numbers = body.hyperparameters if part is None else part.hyperparameters
    given = {} if numbers is None else numbers.model_dump(exclude_none=True)
    known = {name: value for name, value in given.items() if name in Hyperparameters.__slots__}
    grader = part.grader if isinstance(part, Reinforcement) else None
    graded = Graded() if grader is None else rewards_of(grader)
    return FineTuneRequest(
        model=body.model,
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix,
        seed=body.seed,
        method=None if method is None else method.type,
        hyperparameters=Hyperparameters(**known),
        place=f"method.{method.type}.hyperparameters" if method else "hyperparameters",
        rewards=graded.rewards,
        answer_column=graded.answer_column,
        trackers=[tracker_of(each) for each in body.integrations or ()],
        metadata=body.metadata or {},
        sections=sections,
        echo={} if grader is None else {"grader": grader},
    )


def tracker_of(integration: Integration) -> Mapping[str, Json]:
    """A tracker of a run spec."""
    return {"name": integration.type, **integration.wandb.model_dump(exclude_none=True)}
