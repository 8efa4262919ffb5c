"""Special tokens inside messages: text that looks like a command stays text.

A message that holds `<|im_end|>` must not end its turn (prompt injection through data). Such text
is masked by private characters of the same length while the template renders, put back, and then
tokenized as ordinary characters: the rendered text is cut at the template's own special tokens,
and each piece in between is tokenized with special tokens switched off.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.conversation import Conversation, Message
from domain.errors import fail

PRIVATE = range(0xE000, 0xF8FF)
"""Private use characters; one that the conversation does not use marks what was masked."""

Tokens = tuple[list[int], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Escaped:
    """A conversation whose special tokens are masked, and how to tokenize its rendering."""

    conversation: Conversation
    mask: str
    """The character that stands for each character of a masked token."""
    hidden: tuple[str, ...]
    """The masked tokens in the order they stand."""
    specials: tuple[str, ...]
    """The tokenizer's special tokens."""

    def tokens(self, tokenizer: Any, masked: str) -> Tokens:
        """(ids, offsets) of the rendering `masked`, with the hidden text put back as text."""
        template = self._pieces(masked)
        whole = tokenizer(masked, add_special_tokens=False)["input_ids"]
        if _encode(tokenizer, masked, template)[0] != whole:
            raise fail("data-special-token", token=self.hidden[0])
        return _encode(tokenizer, self._restored(masked), template)

    def _restored(self, masked: str) -> str:
        restored, position = "", 0
        for token in self.hidden:
            found = masked.find(self.mask * len(token), position)
            if found < 0:
                raise fail("data-special-token", token=token)
            restored += masked[position:found] + token
            position = found + len(token)
        return restored + masked[position:]

    def _pieces(self, masked: str) -> list[tuple[int, int, bool]]:
        """(start, end, is a special token) of the template's own tokens and what lies between."""
        pieces: list[tuple[int, int, bool]] = []
        position = 0
        for found in re.finditer("|".join(map(re.escape, self.specials)), masked):
            pieces += [(position, found.start(), False), (found.start(), found.end(), True)]
            position = found.end()
        return [piece for piece in (*pieces, (position, len(masked), False)) if piece[0] < piece[1]]


def _encode(tokenizer: Any, text: str, pieces: Sequence[tuple[int, int, bool]]) -> Tokens:
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    for start, end, special in pieces:
        if special:
            ids.append(tokenizer.convert_tokens_to_ids(text[start:end]))
            offsets.append((start, end))
            continue
        encoded = tokenizer(
            text[start:end],
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=True,
        )
        ids += encoded["input_ids"]
        offsets += [(start + a, start + b) for a, b in encoded["offset_mapping"]]
    return ids, offsets


def escape(conversation: Conversation, specials: tuple[str, ...]) -> Escaped | None:
    """The conversation with its special tokens masked; None where there are none."""
    if not specials:
        return None
    text = "".join(message.content for message in conversation.messages)
    if not any(special in text for special in specials):
        return None
    mask = next(chr(code) for code in PRIVATE if chr(code) not in text)
    pattern = re.compile("|".join(map(re.escape, specials)))
    hidden = tuple(pattern.findall(text))

    def masked(message: Message) -> Message:
        content = pattern.sub(lambda found: mask * len(found[0]), message.content)
        return replace(message, content=content)

    messages = tuple(masked(message) for message in conversation.messages)
    return Escaped(replace(conversation, messages=messages), mask, hidden, specials)
