"""How families write tool calls: chosen by template, read, and held by a grammar."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from adapters.catalog import FolderCatalog
from adapters.generation.held_calls import HeldCalls
from adapters.generation.tool_calls import CallSplit, ToolCallSplit
from adapters.models.rendering import HfEncoder
from adapters.written_calls import WrittenCalls, format_name, tool_format
from domain.conversation import Conversation, Message, Role, ToolCall
from domain.errors import HextuneError
from domain.sampling import TextDelta
from domain.tool_use import CallPiece
from tests.fixtures.tiny_model import tiny_tokenizer

CATALOG = FolderCatalog()
FORMATS = {
    name: CATALOG.part("tool_formats", name).FORMAT for name in CATALOG.names("tool_formats")
}
ADD: Any = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/word"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"word": {"type": "string"}},
    },
}
NOW = {"name": "now"}
ARGUMENTS = {"a": 1, "b": 'x"}]\\é'}
BYTES = LLTokenizer("byte")


def written(form: WrittenCalls, *calls: tuple[str, Mapping[str, Any]]) -> str:
    """Calls as a model writes them."""
    texts = [json.dumps({"name": name, form.arguments: given}) for name, given in calls]
    before, after = form.opening + form.gap, form.gap + form.closing if form.closing else ""
    if form.middle:
        texts = [f"{name}{form.middle}{json.dumps(given)}" for name, given in calls]
    if form.listed:
        return f"{before}[{', '.join(texts)}]{after}"
    return form.between.join(before + text + after for text in texts)


def accepted(grammar: str, text: str) -> bool:
    """Whether a grammar takes a text as a whole answer."""
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(grammar))
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    return matcher.try_consume_tokens(tokens) == len(tokens) and bool(matcher.is_accepting())


def literal(text: str) -> str:
    return json.dumps(text)


RENDERS = {
    "granite3": "granite3",
    "granite4": "hermes",
    "llama3_1": "llama3",
    "llama4": "llama3",
    "mistral_nemo": "mistral",
    "mistral_v3": "mistral",
    "mistral_v7": "mistral",
    "mistral_v7_tekken": "mistral",
    "qwen2_5": "hermes",
    "qwen3": "hermes",
    "qwen3_instruct": "hermes",
}


@pytest.mark.parametrize(("template", "name"), RENDERS.items())
def test_the_format_reads_what_the_template_of_its_family_renders(template: str, name: str) -> None:
    text = str(CATALOG.description("templates", template)["text"])
    assert format_name(text) == name
    tokenizer = tiny_tokenizer(text)
    tokenizer.bos_token = "<s>"
    call = ToolCall("add", {"a": 1})
    asked = Conversation(
        (Message(Role.USER, "one"), Message(Role.ASSISTANT, "", (call,))),
        ({"type": "function", "function": ADD},),
    )
    rendered = HfEncoder(tokenizer).render(asked.as_json(), asked.tools_as_json())
    form = tool_format(text)
    start = rendered.rfind(form.opening) if form.opening else rendered.rfind('{"name": "add", "par')
    found = form.read(rendered, start)
    assert found is not None
    assert [(name, json.loads(given)) for name, given in found[0]] == [("add", {"a": 1})]


def test_every_other_template_has_the_plain_format() -> None:
    others = set(CATALOG.names("templates")) - set(RENDERS)
    found = {format_name(str(CATALOG.description("templates", name)["text"])) for name in others}
    assert found == {"json"}


def test_a_template_with_arguments_apart_is_not_taken_for_mistrals_list() -> None:
    assert format_name("[TOOL_CALLS]{{ name }}[ARGS]{{ arguments }}") == "mistral_args"
    assert format_name("[TOOL_CALLS]{{ name }}[CALL_ID]{{ id }}[ARGS]{{ arguments }}") == "json"


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_grammar_holds_calls_to_their_parameters(form: WrittenCalls) -> None:
    grammar = form.grammar([ADD, NOW], literal, several=True)
    good, bad = {"a": 1, "b": "x"}, {"a": "1", "b": "x"}
    assert accepted(grammar, written(form, ("add", good)))
    assert not accepted(grammar, written(form, ("add", bad)))
    assert not accepted(grammar, written(form, ("other", good)))
    assert not accepted(grammar, "Hello")
    two = written(form, ("add", good), ("now", {}))
    assert accepted(grammar, two) is form.several
    assert not accepted(form.grammar([ADD, NOW], literal, several=False), two)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_free_answer_is_held_once_a_call_begins(form: WrittenCalls) -> None:
    grammar = form.free_grammar([ADD], literal, several=True)
    before = "Let me see. " if form.opening else ""
    assert accepted(grammar, "Just text.")
    assert accepted(grammar, "")
    assert accepted(grammar, before + written(form, ("add", {"a": 1})))
    assert not accepted(grammar, before + written(form, ("add", {"a": "1"})))


def read_in_pieces(split: CallSplit, pieces: Sequence[str], reason: str = "stop") -> TextDelta:
    """An answer joined after it was split."""
    text = ""
    calls: dict[int, CallPiece] = {}
    for number, piece in enumerate(pieces):
        last = number + 1 == len(pieces)
        delta = split.apart(TextDelta(text=piece, finish_reason=reason if last else None))  # type: ignore[arg-type]
        text += delta.text
        for part in delta.tool_calls:
            known = calls.get(part.index, CallPiece(index=part.index, name=part.name))
            calls[part.index] = replace(known, arguments=known.arguments + part.arguments)
    return replace(delta, text=text, tool_calls=tuple(calls.values()))


def cut_up(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


NAMES = frozenset({"add", "now"})
CUTS = st.lists(st.integers(0, 400), max_size=8)


@given(form=st.sampled_from(list(FORMATS.values())), cuts=CUTS, held=st.booleans())
def test_calls_are_read_however_the_text_comes(
    form: WrittenCalls, cuts: list[int], held: bool
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [("add", ARGUMENTS)]
    calls += [("now", {})] if form.several else []
    split = HeldCalls(form) if held else ToolCallSplit(form, NAMES, parallel=True)
    answer = read_in_pieces(split, cut_up(written(form, *calls), cuts))
    assert [(c.name, json.loads(c.arguments)) for c in answer.tool_calls] == calls
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")


MALFORMED = {
    "cut-off": '<tool_call>{"name": "add", "argum',
    "no-json": "<tool_call>add(1)</tool_call>",
    "no-arguments": '<tool_call>{"name": "add"}</tool_call>',
    "arguments-a-text": '<tool_call>{"name": "add", "arguments": "1"}</tool_call>',
    "no-function-of-these": '<tool_call>{"name": "drop", "arguments": {}}</tool_call>',
    "not-closed": '<tool_call>{"name": "add", "arguments": {}} and more',
    "no-number": '<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>',
    "plain": "  1 < 2, and <tool is no mark \n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
@given(cuts=CUTS)
def test_what_is_no_call_stays_text(text: str, cuts: list[int]) -> None:
    split = ToolCallSplit(FORMATS["hermes"], NAMES, parallel=True)
    answer = read_in_pieces(split, cut_up(text, cuts))
    assert (answer.text, answer.tool_calls, answer.finish_reason) == (text, (), "stop")


@given(cuts=CUTS)
def test_text_stands_before_and_between_calls_and_a_malformed_one(cuts: list[int]) -> None:
    call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    text = f"First.\n{call}\n{MALFORMED['no-json']} {call}\n"
    split = ToolCallSplit(FORMATS["hermes"], NAMES, parallel=True)
    answer = read_in_pieces(split, cut_up(text, cuts))
    assert answer.text == f"First.\n{MALFORMED['no-json']}"
    assert [call.name for call in answer.tool_calls] == ["now", "now"]


def test_json_that_is_no_call_stays_text_where_calls_have_no_mark() -> None:
    split = ToolCallSplit(FORMATS["json"], NAMES, parallel=True)
    assert read_in_pieces(split, ['{"a"', ": 1}", " yes"]).text == '{"a": 1} yes'


def test_only_one_call_is_taken_where_they_may_not_be_parallel() -> None:
    form = FORMATS["mistral"]
    split = ToolCallSplit(form, NAMES, parallel=False)
    answer = read_in_pieces(split, [written(form, ("now", {}), ("add", {"a": 1})), " more"])
    assert split.over
    assert ([call.name for call in answer.tool_calls], answer.text) == (["now"], "")


def test_arguments_held_by_a_grammar_come_while_they_are_written() -> None:
    split = HeldCalls(FORMATS["hermes"])
    deltas = [
        split.apart(TextDelta(text=text))
        for text in ("<tool_call>\n", '{"name": "add", "arguments": ', '{"a": ', "12")
    ]
    assert [[p.name or p.arguments for p in delta.tool_calls] for delta in deltas] == [
        [],
        ["add"],
        ['{"a": '],
        ["12"],
    ]
    cut = split.apart(TextDelta(text="", finish_reason="length"))
    assert (cut.text, cut.finish_reason) == ("", "length")


def test_a_held_answer_cut_off_before_a_name_is_text() -> None:
    answer = read_in_pieces(HeldCalls(FORMATS["hermes"]), ['<tool_call>\n{"na'], "length")
    assert (answer.text, answer.finish_reason) == ('<tool_call>\n{"na', "length")


def test_a_template_that_leaves_tools_out_is_refused_by_name(tmp_path: Any) -> None:
    from adapters.generation.texts import ModelTexts
    from adapters.models.hf import HfModelBackend
    from domain.run_spec import ModelSection
    from domain.sampling import GenerationRequest
    from tests.fixtures.tiny_model import build_tiny_model

    name = str(build_tiny_model(tmp_path / "tiny"))
    handle = HfModelBackend(CATALOG).inspect(ModelSection(name=name))
    asked = Conversation((Message(Role.USER, "x"),), ({"type": "function", "function": ADD},))
    with pytest.raises(HextuneError) as caught:
        ModelTexts(handle).prompt(GenerationRequest(model=name, conversation=asked))
    assert caught.value.problems[0].code == "data-template-without-tools"
    assert caught.value.problems[0].facts["tool"] == "add"
