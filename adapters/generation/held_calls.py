"""Calls of an answer that a grammar holds to calls: told while they are written.

Such an answer cannot turn out malformed, only be cut off, so arguments go out as they come.
"""

from dataclasses import replace

from adapters.written_calls import WrittenCalls
from domain.sampling import TextDelta
from domain.tool_use import CallPiece


class HeldCalls:
    """Implements adapters.generation.tool_calls.CallSplit for one answer."""

    over = False
    """The grammar ends the answer."""

    def __init__(self, written: WrittenCalls) -> None:
        self._head = written.head
        self._held = ""
        self._object: ObjectEnd | None = None
        """Set while arguments are being written."""
        self._count = 0

    def apart(self, delta: TextDelta) -> TextDelta:
        """A piece with its calls apart; what was cut off before it named a function stays text."""
        self._held += delta.text
        pieces = tuple(self._pieces())
        named = self._object is not None or self._count > 0
        cut = delta.finish_reason == "length" and not named
        reason = "tool_calls" if delta.finish_reason == "stop" else delta.finish_reason
        text = self._held if cut else ""
        return replace(delta, text=text, tool_calls=pieces, finish_reason=reason)

    def _pieces(self) -> list[CallPiece]:
        pieces = []
        while self._held:
            if self._object is None:
                found = self._head.search(self._held)
                if found is None:
                    break
                pieces.append(CallPiece(index=self._count, name=found[1]))
                self._held, self._object = self._held[found.end() :], ObjectEnd()
                continue
            length, ended = self._object.within(self._held)
            pieces.append(CallPiece(index=self._count, arguments=self._held[:length]))
            self._held = self._held[length:]
            if ended:
                self._object, self._count = None, self._count + 1
        return pieces


class ObjectEnd:
    """Finds where a JSON object ends that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False

    def within(self, text: str) -> tuple[int, bool]:
        """(characters of `text` that belong to the object, whether it ends with them)."""
        for number, character in enumerate(text, 1):
            if self._quoted:
                self._quoted = self._escaped or character != '"'
                self._escaped = not self._escaped and character == "\\"
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return number, True
        return len(text), False
