"""The rewards of a run: checked, weighed in memory, built, and summed with their weights."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adapters.catalog import FolderCatalog
from adapters.rewards import Frozen, Scored, Setting
from adapters.rollouts import Answer
from domain.errors import HextuneError, Place, Problem, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle

Values = Mapping[str, Json]


def check_rewards(rewards: Sequence[Values]) -> None:
    """Raises HextuneError with every reward that cannot work, and where there is none."""
    place = Place(field="stage.rewards")
    if not rewards:
        raise fail("rule-rl-no-reward", place)
    problems: list[Problem] = []
    for number, (part, values) in enumerate(_parts(rewards)):
        try:
            part.check(values, f"stage.rewards.{number}")
        except HextuneError as error:
            problems += error.problems
    if problems:
        raise HextuneError(problems)


def frozen_weights(rewards: Sequence[Values], model: ModelHandle) -> Frozen:
    """What all of them keep in memory. Raises HextuneError where one does not fit the model."""
    found = [part.frozen(values, model) for part, values in _parts(rewards)]
    shared = [each for each in found if each.shares_base]
    if len(shared) > 1:
        raise fail("reward-two-models", Place(field="stage.rewards"))
    return Frozen(sum(each.weights for each in found), bool(shared))


def summed(
    rewards: Sequence[Values], setting: Setting, unended: float
) -> Callable[[Sequence[Answer]], Scored]:
    """Scores answers by all rewards; one that did not end loses `unended`.

    Raises HextuneError for a reward that gives no number, or not one for each answer.
    """
    names = _labels(rewards)
    built = [part.build(values, setting) for part, values in _parts(rewards)]
    weights = [float(values["weight"]) for values in rewards]  # type: ignore[arg-type]

    def score(answers: Sequence[Answer]) -> Scored:
        parts = {
            name: _checked(name, reward(answers), len(answers))
            for name, reward in zip(names, built, strict=True)
        }
        rows = zip(*parts.values(), strict=True)
        total = [
            sum(weight * value for weight, value in zip(weights, row, strict=True))
            - (0.0 if answer.ended else unended)
            for answer, row in zip(answers, rows, strict=True)
        ]
        return Scored(total, parts if len(parts) > 1 else {})

    return score


def _parts(rewards: Sequence[Values]) -> Iterator[tuple[Any, Values]]:
    """(the catalogue's part, its options) of each reward."""
    catalog = FolderCatalog()
    for values in rewards:
        options = {key: value for key, value in values.items() if key != "name"}
        yield catalog.part("rewards", str(values["name"])), options


def _labels(rewards: Sequence[Values]) -> list[str]:
    """Names of rewards; one that stands twice is numbered."""
    names = [str(values["name"]) for values in rewards]
    return [
        name if names.count(name) == 1 else f"{name}_{names[:at].count(name) + 1}"
        for at, name in enumerate(names)
    ]


def _checked(name: str, values: object, count: int) -> list[float]:
    """One finite number for each answer. Raises HextuneError for anything else."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise fail("reward-not-numbers", name=name, reason=f"it gave a {type(values).__name__}")
    if len(values) != count:
        reason = f"it gave {len(values)} for {count} answers"
        raise fail("reward-not-numbers", name=name, reason=reason)
    for value in values:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise fail("reward-not-numbers", name=name, reason=f"it gave {value!r}")
    return [float(value) for value in values]
