"""Answers become preferences: which of two is chosen, by the row or by the model's own judgement.

SPIN (Chen et al. 2024) prefers a row's own answer to what the model writes; self-rewarding language
models (Yuan et al. 2024) prefer the answer with their highest score to that with their lowest.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from domain.conversation import Message, Role
from domain.dataset import DatasetKind, StandardRow

SCORE = re.compile(r"score:\s*\**\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
MOST_POINTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a model wrote to one prompt."""

    row: int
    """The prompt's number, from 0."""
    answers: Sequence[str] = ()
    """The answers; none where the prompt leaves no room for one."""
    scores: Sequence[float | None] = ()
    """The mean score of each, where they were judged; None where no judgement names one."""
    judgements: Sequence[Sequence[str]] = ()
    """What the judge said of each."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def score_of(judgement: str) -> float | None:
    """The last `Score: N` of a judgement, from 0 to 5; None where there is none."""
    found = SCORE.findall(judgement)
    points = float(found[-1]) if found else -1.0
    return points if 0 <= points <= MOST_POINTS else None


def mean_score(judgements: Sequence[str]) -> float | None:
    """The mean of the scores that judgements name; None where none does."""
    scores = [score for each in judgements if (score := score_of(each)) is not None]
    return sum(scores) / len(scores) if scores else None


def pairs_of(row: StandardRow, written: Written) -> list[StandardRow]:
    """Rows of preferences: judged answers give their best and worst, others the row's own to each.

    None where no answer is better: all are alike, or scored alike.
    """
    if written.scores:
        judged = [
            (score, answer)
            for score, answer in zip(written.scores, written.answers, strict=True)
            if score is not None
        ]
        best = max(judged, key=lambda each: each[0], default=None)
        worst = min(judged, key=lambda each: each[0], default=None)
        if best is None or worst is None or best[0] == worst[0]:
            return []
        return [_pair(row, _answer(best[1]), _answer(worst[1]))]
    own = row.responses[0]
    others = [text for text in written.answers if text.strip() not in ("", own.content.strip())]
    return [_pair(row, own, _answer(text)) for text in dict.fromkeys(others)]


def standing_in(row: StandardRow) -> StandardRow:
    """A preference of the size that is to be written, before it is: the row's own answer twice.

    Once with a full stop more, as a preference of equal answers is none.
    """
    own = row.responses[0]
    return _pair(row, own, replace(own, content=own.content + "."))


def question_of(row: StandardRow) -> str:
    """The prompt as a judge reads it: one turn as it is, more with who speaks."""
    turns = row.prompt
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{turn.role.value}: {turn.content}" for turn in turns)


def seed_of(seed: int, *numbers: int) -> int:
    """A seed (32 bits) of its own for each answer: the same whatever was written before."""
    digest = sha256(repr((seed, *numbers)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _answer(text: str) -> Message:
    return Message(Role.ASSISTANT, text)


def _pair(row: StandardRow, chosen: Message, rejected: Message) -> StandardRow:
    return replace(row, kind=DatasetKind.PREFERENCE, responses=(chosen, rejected), liked=None)
