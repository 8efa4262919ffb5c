"""Tokens to text while they come: whole characters only, and nothing of a stop text."""

from collections.abc import Sequence
from typing import Any

UNFINISHED = "\ufffd"
"""What a tokenizer shows for bytes that are not a whole character yet."""


class Detokenizer:
    """Decodes a growing answer; each token costs a short decode, not the whole answer's."""

    def __init__(self, tokenizer: Any, *, skip_special_tokens: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._ids: list[int] = []
        self._start = 0
        """First token of the window that is decoded again for context."""
        self._read = 0
        """First token whose text has not been given out."""

    def feed(self, token: int) -> str:
        """Text that this token completes; empty while a character is unfinished."""
        self._ids.append(token)
        before = self._decode(self._ids[self._start : self._read])
        now = self._decode(self._ids[self._start :])
        if now.endswith(UNFINISHED) or len(now) <= len(before):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return now[len(before) :]

    def finish(self) -> str:
        """What is left at the end, an unfinished character included."""
        before = self._decode(self._ids[self._start : self._read])
        return self._decode(self._ids[self._start :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=self._skip)
        return text


class StopTexts:
    """Holds back text that may be the beginning of a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Text that is safe to give out; after a stop text is found, what stood before it."""
        self._held += text
        places = [(self._held.find(stop), len(stop)) for stop in self._stops if stop in self._held]
        if places:
            # the stop that is complete first, so that the way the text was cut up does not matter
            _, cut = min((start + length, start) for start, length in places)
            before, self._held, self.found = self._held[:cut], "", True
            return before
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        safe, self._held = (
            self._held[: len(self._held) - keep],
            self._held[len(self._held) - keep :],
        )
        return safe

    def finish(self) -> str:
        """What was held back and turned out to be no stop text."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of the held text that begins `stop`."""
        longest = min(len(stop) - 1, len(self._held))
        return next(
            (size for size in range(longest, 0, -1) if stop.startswith(self._held[-size:])), 0
        )
