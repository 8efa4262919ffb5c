"""What to do with rows that are too long: never a silent cut."""

from collections.abc import Callable, Mapping
from dataclasses import replace

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
    """The pieces a policy leaves of a row; those that train nothing are left out.

    The two sequences of a preference lose the same beginning, so that their prompt stays one.
    Rows with media are left out whole: a cut could go through an image's tokens.
    """
    if row.media is not None:
        return []
    if row.rejected is not None:
        return _shorten_pair(row, row.rejected, limit, policy)
    return [piece for piece in CUTS[policy](row, limit) if learns(piece)]


def _shorten_pair(
    chosen: EncodedRow, rejected: EncodedRow, limit: int, policy: str
) -> list[EncodedRow]:
    """The pair with its prompt or its answers cut, where both answers are left something."""
    if policy not in ("cut_left", "cut_right"):
        return []
    excess = chosen.longest - limit
    first = excess if policy == "cut_left" else 0
    kept = [
        EncodedRow(row.input_ids[first:][:limit], row.labels[first:][:limit])
        for row in (chosen, rejected)
    ]
    if first >= chosen.prompt_tokens or not all(map(learns, kept)):
        return []
    return [replace(kept[0], rejected=kept[1])]
