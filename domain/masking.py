"""Which tokens are trained: character spans of assistant turns become token labels.

Only completions carry a loss by default (LLaMA-Factory paper, section 4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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

    @property
    def trained_tokens(self) -> int:
        """How many tokens carry a loss."""
        return sum(label != IGNORED for label in self.labels)


def chosen_spans(
    spans: Sequence[tuple[int, int]], text_length: int, train_on: TrainOn
) -> list[tuple[int, int]]:
    """The character spans that `train_on` trains, out of every assistant turn's span."""
    if train_on is TrainOn.EVERYTHING:
        return [(0, text_length)]
    return list(spans[-1:] if train_on is TrainOn.LAST_TURN else spans)


def label_tokens(
    input_ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    spans: Sequence[tuple[int, int]],
) -> EncodedRow:
    """Label each token by its own id where its characters start inside a span, else ignored.

    `offsets` are the tokens' (start, end) characters; a token without characters is never trained.
    """
    labels = [
        token if end > start and any(a <= start < b for a, b in spans) else IGNORED
        for token, (start, end) in zip(input_ids, offsets, strict=True)
    ]
    return EncodedRow(tuple(input_ids), tuple(labels))
