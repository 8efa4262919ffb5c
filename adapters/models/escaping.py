"""Special tokens inside messages: text that looks like a command stays text.

A message that holds `<|im_end|>` must not end its turn (prompt injection through data). Such text
is masked by private characters of the same length while the template renders, put back, and then
tokenized as ordinary characters: the rendered text is cut at the template's own special tokens,
and each piece in between is tokenized with special tokens switched off.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from domain.conversation import Conversation, Message, ToolCall
from domain.errors import fail

PRIVATE = range(0xE000, 0xF900)
"""Private use characters; those that a conversation does not use stand for its special tokens."""

Tokens = tuple[list[int], list[tuple[int, int]]]


class Specials:
    """The special tokens of a tokenizer, and where they stand in a text."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(sorted(set(tokens), key=lambda token: (-len(token), token)))
        self._beginnings = {token[0] for token in self.tokens}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds any of them, the longest first."""
        return re.compile("|".join(map(re.escape, self.tokens)))

    def inside(self, text: str) -> set[str]:
        """Those that stand in `text`."""
        if not any(beginning in text for beginning in self._beginnings):
            return set()
        return set(self.pattern.findall(text))


def special_tokens(tokenizer: Any) -> Specials:
    """Every token a tokenizer treats as a command, named in its settings or only in its table."""
    table = tokenizer.added_tokens_decoder.values()
    tokens = [*tokenizer.all_special_tokens, *(str(token) for token in table if token.special)]
    return Specials([token for token in tokens if token])


@dataclass(frozen=True, slots=True)
class Escaped:
    """A conversation whose special tokens are masked, and how to tokenize its rendering."""

    conversation: Conversation
    masks: Mapping[str, str]
    """Each masked token, and the character that stands for each of its characters."""
    specials: Specials
    """The tokenizer's special tokens."""

    def tokens(self, tokenizer: Any, masked: str) -> Tokens:
        """(ids, offsets) of the rendering `masked`, with the hidden text put back as text."""
        template = self._pieces(masked)
        whole = tokenizer(masked, add_special_tokens=False)["input_ids"]
        if _encode(tokenizer, masked, template)[0] != whole:
            raise fail("data-special-token", token=next(iter(self.masks)))
        return _encode(tokenizer, self._restored(masked), template)

    def _restored(self, masked: str) -> str:
        for token, mask in self.masks.items():
            masked = masked.replace(mask * len(token), token)
            if mask in masked:
                raise fail("data-special-token", token=token)
        return masked

    def _pieces(self, masked: str) -> list[tuple[int, int, bool]]:
        """(start, end, is a special token) of the template's own tokens and what lies between."""
        pieces: list[tuple[int, int, bool]] = []
        position = 0
        for found in self.specials.pattern.finditer(masked):
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


def escape(conversation: Conversation, specials: Specials) -> Escaped | None:
    """The conversation with its special tokens masked; None where there are none."""
    hidden = {token for text in _texts(conversation) for token in specials.inside(text)}
    if not hidden:
        return None
    used = {character for text in _texts(conversation) for character in text}
    free = (chr(code) for code in PRIVATE if chr(code) not in used)
    masks = dict(zip(sorted(hidden), free, strict=False))
    if len(masks) < len(hidden):
        raise fail("data-special-token", token=min(hidden - set(masks)))

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return specials.pattern.sub(lambda found: masks[found[0]] * len(found[0]), value)
        if isinstance(value, Mapping):
            return {masked(key): masked(inner) for key, inner in value.items()}
        return [masked(inner) for inner in value] if isinstance(value, list) else value

    def masked_message(message: Message) -> Message:
        calls = [ToolCall(masked(call.name), masked(call.arguments)) for call in message.tool_calls]
        return replace(
            message,
            content=masked(message.content),
            tool_calls=tuple(calls),
            reasoning=masked(message.reasoning),
        )

    shown = Conversation(
        tuple(masked_message(message) for message in conversation.messages),
        tuple(masked(tool) for tool in conversation.tools),
    )
    return Escaped(shown, masks, specials)


def _texts(conversation: Conversation) -> Iterator[str]:
    """Every text a template may show."""
    for message in conversation.messages:
        yield message.content
        if message.reasoning is not None:
            yield message.reasoning
        for call in message.tool_calls:
            yield call.name
            yield from _strings(call.arguments)
    for tool in conversation.tools:
        yield from _strings(tool)


def _strings(value: Any) -> Iterator[str]:
    """The texts inside a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
