"""Reward regex: a pattern is found in the answer, or what it captures equals the row's reference.

A verifiable reward in the sense of Lambert et al. 2024, "Tulu 3", section 6.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from adapters.rewards import Frozen, Reward, Setting
from adapters.rollouts import Answer
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import options_of, section


@section
class Options:
    """Options of reward regex."""

    pattern: str
    """Regular expression of Python, searched for in the answer."""
    compare: bool = False
    """Whether what the first group captures must equal the row's reference, as text or as a
    number."""
    take: Literal["first", "last"] = "first"
    """Which match counts, where there are several."""
    reward: float = 1.0
    """What an answer that passes is worth."""
    otherwise: float = 0.0
    """What any other answer is worth."""
    weight: float = 1.0
    """What the reward is multiplied by in the sum."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError for a pattern that is none, or that captures nothing to compare."""
    options = options_of(Options, values)
    place = Place(field=f"{field}.pattern")
    try:
        groups = re.compile(options.pattern).groups
    except re.error as error:
        raise fail("reward-pattern", place, pattern=options.pattern, reason=error) from None
    if options.compare and not groups:
        raise fail("reward-pattern-group", place, pattern=options.pattern)


def frozen(values: Mapping[str, Json], model: ModelHandle) -> Frozen:
    """Nothing."""
    return Frozen()


def build(values: Mapping[str, Json], setting: Setting) -> Reward:
    """Scores texts."""
    options = options_of(Options, values)
    pattern = re.compile(options.pattern)

    def passes(answer: Answer) -> bool:
        found = list(pattern.finditer(answer.text))
        if not found:
            return False
        chosen = found[0 if options.take == "first" else -1]
        return not options.compare or equal(chosen[1], answer.asked.answer)

    def score(answers: Sequence[Answer]) -> list[float]:
        return [options.reward if passes(each) else options.otherwise for each in answers]

    return score


def equal(found: str | None, reference: str) -> bool:
    """Whether two texts say the same, 12.0 and 12 included."""
    if found is None:
        return False
    try:
        return float(found.replace(",", "")) == float(reference.replace(",", ""))
    except ValueError:
        return found.strip() == reference.strip()
