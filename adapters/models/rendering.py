"""Conversations to token ids by a chat template, with the spans of the answers.

A span is found by rendering prefixes of the conversation: up to the answer with a generation
prompt, and up to the answer's end. This is right only if a longer conversation renders as an
extension of a shorter one; where the template rewrites earlier turns, it is refused.

Special tokens written inside messages are text, not commands: see `adapters.models.escaping`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from itertools import accumulate
from typing import Any

from adapters.detokenizing import Detokenizer
from adapters.models.escaping import Escaped, escape, special_tokens
from domain.conversation import Conversation
from domain.errors import HextuneError, fail
from domain.masking import (
    EncodedRow,
    TrainOn,
    answers,
    label_everything,
    label_runs,
    label_tokens,
    outside,
    trained_turns,
)

BATCH = 512
"""Conversations tokenized at once; the tokenizer spreads a batch over the cores."""

Rendered = tuple[str, list[tuple[int, int]] | None, Escaped | None]
"""(text, spans to train or None for everything, what was escaped)."""


class HfEncoder:
    """Implements ports.model.ConversationEncoder with a fast tokenizer."""

    def __init__(self, tokenizer: Any, own_template: bool = True) -> None:
        self._tokenizer = tokenizer
        self._own_template = own_template
        self._specials = special_tokens(tokenizer)
        self.template_fingerprint = sha256(str(tokenizer.chat_template).encode()).hexdigest()

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of the tokenizer's JSON; half a second for a large vocabulary."""
        return sha256(self._tokenizer.backend_tokenizer.to_str().encode()).hexdigest()

    def encode(self, conversation: Conversation, train_on: TrainOn) -> EncodedRow:
        """Token ids and labels; an answer's end-of-turn token is trained with it."""
        (found,) = self.encode_all([conversation], train_on)
        if isinstance(found, HextuneError):
            raise found
        return found

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> list[EncodedRow | HextuneError]:
        """Each conversation encoded, or the error that says why it cannot be.

        One batch is tokenized, outside Python's lock, while the next one is rendered.
        """
        batches = []
        with ThreadPoolExecutor(1) as pool:
            for start in range(0, len(conversations), BATCH):
                batch = conversations[start : start + BATCH]
                rendered = [self._rendered(each, train_on) for each in batch]
                batches.append(pool.submit(self._encode_batch, rendered))
        return [row for batch in batches for row in batch.result()]

    def encode_prompts(
        self, conversations: Sequence[Conversation]
    ) -> list[EncodedRow | HextuneError]:
        """Each conversation with the opening of an answer, or why it cannot be encoded."""
        found: list[EncodedRow | HextuneError] = []
        for start in range(0, len(conversations), BATCH):
            batch = conversations[start : start + BATCH]
            found += self._encode_batch([self._opened(each) for each in batch])
        return found

    def encode_texts(self, texts: Sequence[str]) -> list[EncodedRow]:
        """Documents as they stand, closed by the end-of-text token; every token is trained.

        Special tokens written in a document are text.
        """
        end = [self._tokenizer.eos_token_id]
        found: list[EncodedRow] = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            encoded = self._tokenizer(batch, split_special_tokens=True)
            found += [
                label_everything(ids if ids[-1:] == end else ids + end)
                for ids in encoded["input_ids"]
            ]
        return found

    def agrees(self, conversation: Conversation) -> bool | None:
        """Whether `apply_chat_template` gives the same ids; None where it is not applied."""
        if not self._own_template or conversation.verbatim:
            return None
        theirs = self._tokenizer.apply_chat_template(
            conversation.as_json(), tools=conversation.tools_as_json(), tokenize=True
        )["input_ids"]
        return list(self.encode(conversation, TrainOn.EVERYTHING).input_ids) == list(theirs)

    def pieces(self, row: EncodedRow) -> list[str]:
        """Each token decoded; a character of several tokens stands with its last one."""
        decoding = Detokenizer(self._tokenizer, skip_special_tokens=False)
        texts = [decoding.feed(token) for token in row.input_ids]
        rest = decoding.finish()
        return [*texts[:-1], texts[-1] + rest] if texts else []

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        *,
        ask: bool = False,
    ) -> str:
        """The template's text; with `ask`, the opening of an answer follows."""
        from jinja2 import TemplateError

        try:
            rendered: str = self._tokenizer.apply_chat_template(
                messages,
                tools=tools,
                tokenize=False,
                add_generation_prompt=ask,
            )
        except TemplateError as error:
            raise fail("data-template-refused", reason=error.message) from None
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise fail("data-template-refused", reason=repr(error)) from None
        return rendered

    def _rendered(self, conversation: Conversation, train_on: TrainOn) -> Rendered | HextuneError:
        if conversation.verbatim:
            return _verbatim(conversation, train_on)
        try:
            escaped = escape(conversation, self._specials)
            shown = escaped.conversation if escaped else conversation
            text = self.render(shown.as_json(), shown.tools_as_json())
            check_tools(shown, text)
            turns = trained_turns(conversation.messages, train_on)
            if train_on is not TrainOn.EVERYTHING:
                return text, [self._span(shown, number, text) for number in turns], escaped
            silent = [n for n in answers(conversation.messages) if n not in turns]
            spans = [self._span(shown, number, text) for number in silent]
            return text, outside(spans, len(text)) if spans else None, escaped
        except HextuneError as error:
            return error

    def _opened(self, conversation: Conversation) -> Rendered | HextuneError:
        """A prompt's text up to where its answer begins; nothing of it is trained."""
        try:
            escaped = escape(conversation, self._specials)
            shown = escaped.conversation if escaped else conversation
            text = self.render(shown.as_json(), shown.tools_as_json(), ask=True)
            check_tools(shown, text)
            return text, [], escaped
        except HextuneError as error:
            return error

    def _span(self, conversation: Conversation, number: int, text: str) -> tuple[int, int]:
        """Characters of answer `number` in `text`, its terminator included, trailing space not."""
        messages, tools = conversation.as_json(), conversation.tools_as_json()
        before = self.render(messages[:number], tools, ask=True)
        whole = number + 1 == len(messages)
        after = text if whole else self.render(messages[: number + 1], tools)
        if not (text.startswith(after) and after.startswith(before)):
            raise fail("data-template-unstable")
        return len(before), len(after.rstrip())

    def _encode_batch(
        self, batch: Sequence[Rendered | HextuneError]
    ) -> list[EncodedRow | HextuneError]:
        plain = [item[0] for item in batch if not isinstance(item, HextuneError) and not item[2]]
        core = self._tokenizer.backend_tokenizer
        core.encode_special_tokens = False  # escaping leaves it on
        core.no_truncation()  # a saved tokenizer may bring either
        core.no_padding()
        encoded = iter(core.encode_batch(plain, add_special_tokens=False))
        return [
            item if isinstance(item, HextuneError) else self._labelled(item, encoded)
            for item in batch
        ]

    def _labelled(self, item: Rendered, encoded: Iterator[Any]) -> EncodedRow | HextuneError:
        """A rendered row's ids, with the labels of its spans; `encoded` holds the plain rows."""
        text, spans, escaped = item
        if escaped:
            try:
                ids, offsets = escaped.tokens(self._tokenizer, text)
            except HextuneError as error:
                return error
            return label_everything(ids) if spans is None else label_tokens(ids, offsets, spans)
        found = next(encoded)
        if spans is None:
            return label_everything(found.ids)
        end = len(text)
        bounds = [(_token_at(found, a, end), _token_after(found, b, end)) for a, b in spans]
        if any(bound is None for pair in bounds for bound in pair):
            return label_tokens(found.ids, found.offsets, spans)
        return label_runs(found.ids, bounds)  # type: ignore[arg-type]


def check_tools(conversation: Conversation, text: str) -> None:
    """Templates without tools leave them out without a word; their names must be there."""
    names = [str(tool["function"]["name"]) for tool in conversation.tools]  # type: ignore[call-overload, index]
    names += [call.name for message in conversation.messages for call in message.tool_calls]
    for name in names:
        if name not in text:
            raise fail("data-template-without-tools", tool=name)


def _verbatim(conversation: Conversation, train_on: TrainOn) -> Rendered:
    """The pieces one after another; special tokens in them are commands: no template adds any."""
    messages = conversation.messages
    ends = list(accumulate(len(message.content) for message in messages))
    turns = trained_turns(messages, train_on)
    spans = [(ends[n] - len(messages[n].content), ends[n]) for n in turns]
    text = "".join(message.content for message in messages)
    return text, None if train_on is TrainOn.EVERYTHING else spans, None


def _token_at(encoding: Any, character: int, end: int) -> int | None:
    """The token that holds a character; None where only offsets can tell."""
    return len(encoding) if character == end else encoding.char_to_token(character)


def _token_after(encoding: Any, character: int, end: int) -> int | None:
    """The first token that begins at or after a character; None where only offsets can tell.

    Asked of the tokenizer itself: turning every offset into Python values costs more than encoding.
    """
    token = _token_at(encoding, character, end)
    if token is None or character == end:
        return token
    start, _ = encoding.token_to_chars(token)
    return int(token) if start == character else int(token) + 1
