"""What to do with rows that are too long: never a silent cut."""

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
