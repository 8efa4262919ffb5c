"""Which tokens are trained: character spans of assistant turns become token labels.

Only completions carry a loss by default (LLaMA-Factory paper, section 4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.conversation import Message, Role
from domain.media import ShownMedia
from domain.prompted import Prompted

IGNORED = -100
"""Label of a token without loss, as PyTorch's cross entropy takes it."""


class TrainOn(StrEnum):
    """Which turns carry a loss."""

    ASSISTANT_TURNS = "assistant_turns"
    LAST_TURN = "last_turn"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A rendered conversation as token ids and labels of equal length."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    rejected: "EncodedRow | None" = None
    """Preference rows: the same prompt with the worse answer."""
    liked: bool | None = None
    """Feedback rows: whether the answer was liked."""
    media: ShownMedia | None = None
    """What the row shows or plays; its tokens stand among the ids."""
    place: str = field(default="", compare=False)
    """Where it came from: file:line. Rows of equal content are equal wherever they stand."""
    source: str = field(default="", compare=False)
    """Name of the data source it came from."""
    asked: Prompted | None = None
    """Prompts: what was asked, for rewards to judge answers by; no token carries a loss."""

    @property
    def sequences(self) -> "tuple[EncodedRow, ...]":
        """What the model is run on: the row, and the rejected one where there is one."""
        return (self,) if self.rejected is None else (self, self.rejected)

    @property
    def longest(self) -> int:
        """Tokens of the longest of its sequences."""
        return max(len(row.input_ids) for row in self.sequences)

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences."""
        return sum(len(row.input_ids) for row in self.sequences)

    @property
    def trained_tokens(self) -> int:
        """How many tokens carry a loss, in all its sequences."""
        return sum(label != IGNORED for row in self.sequences for label in row.labels)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens stand before the first that carries a loss, in every sequence."""
        return min(
            next((n for n, label in enumerate(row.labels) if label != IGNORED), len(row.labels))
            for row in self.sequences
        )


def answers(messages: Sequence[Message]) -> list[int]:
    """Positions of the assistant's turns."""
    return [n for n, message in enumerate(messages) if message.role is Role.ASSISTANT]


def trained_turns(messages: Sequence[Message], train_on: TrainOn) -> list[int]:
    """Positions of the assistant's turns that are trained.

    What a turn says itself wins; a turn that says nothing follows `train_on`.
    """
    turns = answers(messages)
    by_policy = set(turns[-1:] if train_on is TrainOn.LAST_TURN else turns)
    flags = {n: messages[n].trained for n in turns}
    return [n for n in turns if flags[n] or (flags[n] is None and n in by_policy)]


def label_tokens(
    input_ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    spans: Sequence[tuple[int, int]],
) -> EncodedRow:
    """Label each token by its own id where it shares a character with a span, else ignored.

    `offsets` are the tokens' (start, end) characters. A token that begins with the last space of
    the prompt and goes on with the answer's first word is part of the answer.
    """
    labels = [
        token if end > start and any(a < end and start < b for a, b in spans) else IGNORED
        for token, (start, end) in zip(input_ids, offsets, strict=True)
    ]
    return EncodedRow(tuple(input_ids), tuple(labels))


def outside(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """The spans between the sorted `spans` of a text of `length` characters."""
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), length]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def label_everything(input_ids: Sequence[int]) -> EncodedRow:
    """Every token carries a loss, as plain text and `everything` want it."""
    return EncodedRow(tuple(input_ids), tuple(input_ids))


def label_runs(input_ids: Sequence[int], runs: Sequence[tuple[int, int]]) -> EncodedRow:
    """Label the tokens of each run (first, one past the last) by their own ids, others ignored."""
    labels = [IGNORED] * len(input_ids)
    for first, end in runs:
        labels[first:end] = input_ids[first:end]
    return EncodedRow(tuple(input_ids), tuple(labels))
