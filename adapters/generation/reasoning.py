"""What a model thinks before it answers, apart from the answer: `<think>` to `</think>`.

The tags are those of DeepSeek-R1's and Qwen3's templates. Some templates open the thought at the
end of the prompt, so that an answer begins inside it.
"""

from dataclasses import replace

from domain.sampling import TextDelta

OPEN, CLOSE = "<think>", "</think>"


class ReasoningSplit:
    """Splits text as it comes; a piece that may be the beginning of a tag is held back."""

    def __init__(self, inside: bool) -> None:
        self._wanted = CLOSE if inside else OPEN
        """The tag that comes next; empty once the thought is over."""
        self._held = ""
        self._fresh = inside
        """Whether nothing but white space stood in this part yet."""

    def feed(self, text: str) -> tuple[str, str]:
        """(text of the answer, text of the thought) that are sure by now."""
        self._held += text
        answer, thought = "", ""
        if self._wanted == OPEN:
            begun = self._held.lstrip()
            if OPEN.startswith(begun[: len(OPEN)]) and len(begun) < len(OPEN):
                return "", ""
            self._wanted = CLOSE if begun.startswith(OPEN) else ""
            self._fresh = self._wanted == CLOSE
            self._held = begun.removeprefix(OPEN) if self._fresh else self._held
        if self._wanted == CLOSE:
            thought = self._thought()
        if not self._wanted:
            answer = self._plain(self._held)
            self._held = ""
        return answer, thought

    def apart(self, delta: TextDelta) -> TextDelta:
        """A piece with its thought apart."""
        text, thought = self.feed(delta.text)
        if delta.finish_reason:
            rest = self.finish()
            text, thought = text + rest[0], thought + rest[1]
        return replace(delta, text=text, reasoning=thought)

    def finish(self) -> tuple[str, str]:
        """What was held back and turned out to be no tag."""
        held, self._held = self._held, ""
        return (held, "") if self._wanted != CLOSE else ("", self._plain(held))

    def _thought(self) -> str:
        before, found, after = self._held.partition(CLOSE)
        if found:
            thought = self._plain(before)
            self._wanted, self._fresh, self._held = "", True, after
            return thought
        sizes = range(len(CLOSE) - 1, 0, -1)
        keep = next((size for size in sizes if self._held.endswith(CLOSE[:size])), 0)
        end = len(self._held) - keep
        ready, self._held = self._held[:end], self._held[end:]
        return self._plain(ready)

    def _plain(self, text: str) -> str:
        """`text` without the white space that follows a tag."""
        shown = text.lstrip() if self._fresh else text
        self._fresh = self._fresh and not shown
        return shown
