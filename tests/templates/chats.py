"""The conversations every template is rendered with, and how transformers renders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.catalog import FolderCatalog

CATALOG = FolderCatalog()
BOS = "<s>"
EOS = "</s>"
DATE = "26 Jul 2024"

Messages = list[dict[str, Any]]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def call(arguments: Any) -> dict[str, Any]:
    function = {"name": "get_time", "arguments": arguments}
    calls = [{"id": "abcdefghi", "type": "function", "function": function}]
    return {"role": "assistant", "content": "", "tool_calls": calls}


ARGUMENTS = {"city": "Rome", "format": 24}
RESULT = {"role": "tool", "content": "12:00", "tool_call_id": "abcdefghi", "name": "get_time"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_time",
            "description": "Tell the time in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Where, e.g. Rom"}},
                "required": ["city"],
            },
        },
    }
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A conversation as a template gets it."""

    messages: Messages
    ask: bool = True
    tools: Sequence[Mapping[str, Any]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


MULTI = [user("Hello"), answer("Hi there."), user("And now?")]
CHATS = {
    "single": Chat(messages=[user("Hello")]),
    "multi": Chat(messages=MULTI),
    "system": Chat(messages=[system("Be kind."), *MULTI]),
    "empty system": Chat(messages=[system(""), user("Hello")]),
    "unicode": Chat(messages=[user("Grüße, 你好 🙂"), answer("“Né”\n\tсюда"), user("ok\n\n?")]),
    "answered": Chat(messages=[*MULTI, answer("Good bye.")], ask=False),
    "tools": Chat(messages=[user("Time?")], tools=TOOLS),
    "tool calls": Chat(
        messages=[user("Time?"), call(ARGUMENTS), RESULT, answer("Noon."), user("Thanks")],
        tools=TOOLS,
    ),
}


def render(text: str, chat: Chat, *, bos: str = BOS, eos: str = EOS) -> str:
    """The text that transformers' own renderer makes of a conversation."""
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(
        conversations=[chat.messages],
        tools=chat.tools,
        chat_template=text,
        add_generation_prompt=chat.ask,
        bos_token=bos,
        eos_token=eos,
        date_string=DATE,
        **chat.options,
    )
    return str(rendered[0])


def template(name: str) -> str:
    """A catalogue template's text."""
    return str(CATALOG.description("templates", name)["text"])
