"""A row's tokens as text for people: neighbours that are trained alike are one span.

Control characters are shown by their pictures (Unicode, U+2400 to U+2421): rows come from anywhere,
and an escape sequence in one must not reach the terminal.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

COLLAPSED = 4
"""Equal special tokens in a row that are shown as one with their number."""
TOKEN = re.compile(r"<[^<>\s]+>")
"""What special tokens look like, those that stand for media among them."""
LINE_END = "↵"
"""Stands for the end of a line where that would not be seen."""
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


def token_spans(
    pieces: Sequence[tuple[str, int, bool]], *, ids: bool
) -> Iterator[tuple[str, bool]]:
    """(text, trained) of each span of (text, token id, trained); with the ids where asked for."""
    for trained, span in groupby(pieces, key=lambda piece: piece[2]):
        yield "".join(_texts(span, ids=ids)).translate(PICTURES), trained


def _texts(pieces: Iterator[tuple[str, int, bool]], *, ids: bool) -> Iterator[str]:
    for (piece, token, _), group in groupby(pieces):
        count = len(list(group))
        if count >= COLLAPSED and TOKEN.fullmatch(piece):
            piece, count = f"<{piece.strip('<|>')} x {count}>", 1
        yield (_with_id(piece, token) if ids else piece) * count


def _with_id(piece: str, token: int) -> str:
    """The lines a token ends come after its id, which so stands beside the token."""
    return f"{piece.replace(chr(10), LINE_END)}·{token} " + "\n" * piece.count("\n")
