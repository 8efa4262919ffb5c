"""Conversations to token ids by the tokenizer's own chat template, with the spans of the answers.

A span is found by rendering prefixes of the conversation: up to the answer with a generation
prompt, and up to the answer's end. This is right only if a longer conversation renders as an
extension of a shorter one; where the template rewrites earlier turns, it is refused.
"""

from hashlib import sha256
from typing import Any

from domain.conversation import Conversation, Role
from domain.errors import HextuneError, fail
from domain.masking import EncodedRow, TrainOn, chosen_spans, label_tokens


class HfEncoder:
    """Implements ports.model.ConversationEncoder with a fast tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        template = tokenizer.chat_template
        self.template_fingerprint = sha256(str(template).encode()).hexdigest()

    def encode(self, conversation: Conversation, train_on: TrainOn) -> EncodedRow:
        """Token ids and labels; an answer's end-of-turn token is trained with it."""
        text = self.render(conversation.as_json())
        spans = [
            self._span(conversation, number, text)
            for number, message in enumerate(conversation.messages)
            if message.role is Role.ASSISTANT
        ]
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        chosen = chosen_spans(spans, len(text), train_on)
        return label_tokens(encoded["input_ids"], encoded["offset_mapping"], chosen)

    def render(self, messages: list[dict[str, str]], *, ask: bool = False) -> str:
        """The template's text; with `ask`, the opening of an answer follows."""
        from jinja2 import TemplateError

        try:
            rendered: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=ask
            )
        except TemplateError as error:
            raise fail("data-template-refused", reason=error.message) from None
        return rendered

    def _span(self, conversation: Conversation, number: int, text: str) -> tuple[int, int]:
        """Characters of answer `number` in `text`, its terminator included, trailing space not."""
        messages = conversation.as_json()
        before = self.render(messages[:number], ask=True)
        after = self.render(messages[: number + 1])
        if not (text.startswith(after) and after.startswith(before)):
            raise _unstable()
        return len(before), len(after.rstrip())


def _unstable() -> HextuneError:
    return fail("data-template-unstable")
