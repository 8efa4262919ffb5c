"""Every catalogue template: what it renders, what it refuses, and that answers can be found."""

import json
from dataclasses import replace

import jinja2
import pytest

from tests.templates.chats import (
    ARGUMENTS,
    CATALOG,
    CHATS,
    RESULT,
    TOOLS,
    Chat,
    Messages,
    answer,
    call,
    render,
    system,
    template,
    user,
)
from tests.templates.formats import ALWAYS, FORMATS, WITH_SYSTEM

NAMES = CATALOG.names("templates")
SINGLE = [user("First question"), answer("First answer")]
LONG = [*SINGLE, user("Second"), answer("Another answer"), user("Third"), answer("Last answer")]


def conversation(name: str) -> Messages:
    """The longest conversation that the format has."""
    return LONG if FORMATS[name].rounds else SINGLE


def spans_hold(text: str, messages: Messages, *, tools: bool = False) -> bool:
    """Whether every answer stands where prefixes of the conversation say it stands."""
    given = TOOLS if tools else None
    full = render(text, Chat(messages=messages, ask=False, tools=given))
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            before = render(text, Chat(messages=messages[:number], tools=given))
            after = render(text, Chat(messages=messages[: number + 1], ask=False, tools=given))
            if not (full.startswith(after) and after.startswith(before)):
                return False
    return True


def test_the_table_names_every_template() -> None:
    assert sorted(FORMATS) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_opens_with_a_comment_and_has_no_text_outside_its_tags(name: str) -> None:
    text = template(name)
    assert text.startswith("{#- ")
    comment = text.partition("-#}")[0]
    assert "\nSource: " in comment
    assert ("Not prefix-stable" in comment) == bool(
        FORMATS[name].unstable or FORMATS[name].tools_unstable
    )
    tokens = jinja2.Environment(autoescape=False).lex(text)
    assert not [value for _, kind, value in tokens if kind == "data" and value.strip()]


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_followed_by_its_end(name: str) -> None:
    promised, messages = FORMATS[name], conversation(name)
    full = render(template(name), Chat(messages=messages, ask=False))
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    for text in answers[:-1]:
        assert text + promised.end in full
    assert full.rstrip().endswith(answers[-1] + (promised.last_end or promised.end))


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_conversation_extends_a_shorter_one(name: str) -> None:
    messages = conversation(name)
    assert spans_hold(template(name), messages) == (FORMATS[name].unstable != ALWAYS)


@pytest.mark.parametrize("name", [n for n in NAMES if FORMATS[n].system])
def test_a_system_text_is_rendered_and_keeps_the_prefix(name: str) -> None:
    messages = [system("Be kind."), *LONG]
    assert "Be kind." in render(template(name), Chat(messages=messages, ask=False))
    stable = FORMATS[name].unstable not in (ALWAYS, WITH_SYSTEM)
    assert spans_hold(template(name), messages) == stable


@pytest.mark.parametrize("name", NAMES)
def test_what_a_format_lacks_is_refused(name: str) -> None:
    promised, text = FORMATS[name], template(name)
    refused = [[{"role": "critic", "content": "Well."}]]
    if not promised.system:
        refused.append(CHATS["system"].messages)
    if not promised.rounds:
        refused.append(LONG)
    if promised.alternates:
        refused.append([user("One"), user("Two")])
    if not promised.tools:
        refused += [[user("Time?"), call(ARGUMENTS)], [*SINGLE, RESULT]]
        with pytest.raises(jinja2.TemplateError):
            render(text, CHATS["tools"])
    for messages in refused:
        with pytest.raises(jinja2.TemplateError):
            render(text, Chat(messages=messages))


@pytest.mark.parametrize("name", NAMES)
def test_texts_arrive_unchanged(name: str) -> None:
    question, reply = "Grüße, 你好 🙂 {{ 1 + 1 }} <b>&amp;</b>", "“Né”\n\n\tсюда"
    full = render(template(name), Chat(messages=[user(question), answer(reply)], ask=False))
    assert question in full
    assert reply in full


@pytest.mark.parametrize("name", NAMES)
def test_space_around_a_text_is_kept_or_dropped_as_the_vendor_does(name: str) -> None:
    full = render(template(name), Chat(messages=[user("  Hello  "), answer("Hi")], ask=False))
    assert ("  Hello  " in full) == (not FORMATS[name].trims)


@pytest.mark.parametrize("name", [n for n in NAMES if FORMATS[n].tools])
def test_tools_are_rendered(name: str) -> None:
    promised, text = FORMATS[name], template(name)
    full = render(text, CHATS["tool calls"])
    for part in ("Tell the time in a city.", "get_time", json.dumps(ARGUMENTS), "12:00", "Noon."):
        assert part in full
    messages = [user("Time?"), call(ARGUMENTS), RESULT, answer("Noon."), user("Bye"), answer("B.")]
    stable = promised.unstable != ALWAYS and not promised.tools_unstable
    assert spans_hold(text, messages, tools=True) == stable


@pytest.mark.parametrize("name", [n for n in NAMES if FORMATS[n].tools])
def test_a_calls_arguments_are_never_encoded_twice(name: str) -> None:
    chat = CHATS["tool calls"]
    as_text = [*chat.messages]
    as_text[1] = call(json.dumps(ARGUMENTS))
    assert render(template(name), chat) == render(template(name), replace(chat, messages=as_text))


THINKING = [user("Q"), {**answer("A"), "reasoning_content": "Let me see."}]


@pytest.mark.parametrize("name", ["deepseek_r1", "gpt_oss", "qwen3"])
def test_thinking_is_shown_in_the_last_answer_and_dropped_before(name: str) -> None:
    text = template(name)
    assert "Let me see." in render(text, Chat(messages=THINKING, ask=False))
    assert "Let me see." not in render(text, Chat(messages=[*THINKING, user("And?")]))


@pytest.mark.parametrize("name", ["deepseek_r1", "qwen3"])
def test_thinking_may_stand_in_the_content(name: str) -> None:
    inside = [user("Q"), answer("<think>\nLet me see.\n</think>\n\nA")]
    text = template(name)
    assert render(text, Chat(messages=inside, ask=False)) == render(
        text, Chat(messages=THINKING, ask=False)
    )


IMAGES = {
    "gemma3": "<start_of_image>What?",
    "llama3_2_vision": "<|image|>What?",
    "llama4": "<|image|>What?",
    "llava": "<image>\nWhat?",
    "paligemma": "<image><s>What?",
    "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>What?",
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_stands_before_its_question(name: str) -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "What?"}]
    full = render(template(name), Chat(messages=[{"role": "user", "content": parts}]))
    assert IMAGES[name] in full
