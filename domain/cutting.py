"""What to do with rows that are too long: never a silent cut."""

from collections.abc import Callable, Mapping

from domain.masking import IGNORED, EncodedRow


def cut_left(row: EncodedRow, limit: int) -> EncodedRow:
    """The last `limit` tokens: the oldest turns go, the answer stays whole."""
    return EncodedRow(row.input_ids[-limit:], row.labels[-limit:])


def cut_right(row: EncodedRow, limit: int) -> EncodedRow:
    """The first `limit` tokens: the end of the answer goes, its terminator too."""
    return EncodedRow(row.input_ids[:limit], row.labels[:limit])


def split(row: EncodedRow, limit: int) -> list[EncodedRow]:
    """Pieces of `limit` tokens, the last one shorter; every token stands in exactly one piece."""
    starts = range(0, len(row.input_ids), limit)
    return [
        EncodedRow(row.input_ids[at : at + limit], row.labels[at : at + limit]) for at in starts
    ]


def learns(row: EncodedRow) -> bool:
    """Whether any token after the first carries a loss; the first has nothing to predict it."""
    return any(label != IGNORED for label in row.labels[1:])


CUTS: Mapping[str, Callable[[EncodedRow, int], list[EncodedRow]]] = {
    "drop": lambda row, limit: [],
    "cut_left": lambda row, limit: [cut_left(row, limit)],
    "cut_right": lambda row, limit: [cut_right(row, limit)],
    "split": split,
}
"""What each policy makes of a row that is too long."""


def shorten(row: EncodedRow, limit: int, policy: str) -> list[EncodedRow]:
    """The pieces a policy leaves of a row; those that train nothing are left out."""
    return [piece for piece in CUTS[policy](row, limit) if learns(piece)]
