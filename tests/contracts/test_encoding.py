"""Encoding at the edges: templates whose prompt ends with a space, and documents as text."""

from adapters.models.rendering import HfEncoder
from domain.conversation import Conversation, Message, Role
from domain.masking import IGNORED, TrainOn
from tests.fixtures.tiny_model import tiny_tokenizer

SPACED = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def test_the_first_word_after_a_prompt_that_ends_with_a_space_is_trained() -> None:
    tokenizer = tiny_tokenizer(SPACED)
    talk = Conversation((Message(Role.USER, "What is?"), Message(Role.ASSISTANT, "is the")))
    row = HfEncoder(tokenizer).encode(talk, TrainOn.ASSISTANT_TURNS)
    trained = tokenizer.decode([label for label in row.labels if label != IGNORED])
    assert trained.strip() == "is the<|im_end|>"
    pieces = HfEncoder(tokenizer).pieces(row)
    assert " is" in pieces, "the tokenizer must join the space and the word for this to mean much"


def test_special_tokens_in_documents_are_text() -> None:
    tokenizer = tiny_tokenizer()
    (row,) = HfEncoder(tokenizer).encode_texts(["a <|im_start|> b"])
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert start not in row.input_ids
    assert tokenizer.decode(row.input_ids[:-1]) == "a <|im_start|> b"
    assert row.input_ids[-1] == tokenizer.eos_token_id
    assert row.labels == row.input_ids


def test_segments_are_encoded_as_they_stand_and_their_special_tokens_are_commands() -> None:
    tokenizer = tiny_tokenizer()
    pieces = ("<|im_start|>user\nWhat is it?<|im_end|>\n", "It is the answer.<|im_end|>", "\nend")
    roles = (Role.USER, Role.ASSISTANT, Role.USER)
    messages = tuple(Message(role, text) for role, text in zip(roles, pieces, strict=True))
    talk = Conversation(messages, verbatim=True)
    encoder = HfEncoder(tokenizer)
    row = encoder.encode(talk, TrainOn.ASSISTANT_TURNS)
    assert list(row.input_ids) == tokenizer("".join(pieces), add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") == row.input_ids[0]
    trained = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(trained) == pieces[1]
    assert encoder.encode(talk, TrainOn.LAST_TURN) == row
    assert encoder.encode(talk, TrainOn.EVERYTHING).labels == row.input_ids
    assert encoder.agrees(talk) is None
