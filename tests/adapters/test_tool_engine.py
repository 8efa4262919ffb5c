"""Tools through the engine that runs networks: held calls, marks that are special tokens."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling, TextDelta
from domain.tool_use import ToolUse
from ports.inference import InferenceBackend
from tests.fixtures.tiny_model import build_tiny_model

TEMPLATE = (
    "{{ tools | tojson if tools else '' }}{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
SIGNS = {
    "hermes": '{# <tool_call>\n{"name": "f", "arguments": {} } #}',
    "granite3": "{# <|tool_call|> #}",
    "thinking": '{# <tool_call>\n{"name": "f"} #}',
    "llama3": '{# {"name": function name, "parameters": x } #}',
}
ADD: Any = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"kind": {"enum": ["sum", "difference"]}, "exact": {"type": "boolean"}},
        "required": ["kind", "exact"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], InferenceBackend]]:
    """Opens an engine whose template has a format's sign, once."""
    engines: dict[str, InferenceBackend] = {}

    def open_once(name: str) -> InferenceBackend:
        if name not in engines:
            folder = tmp_path_factory.mktemp("models") / "tiny"
            thought = "<think>\n" if name == "thinking" else ""
            build_tiny_model(folder, template=SIGNS[name] + TEMPLATE + thought)
            if name == "granite3":
                _add_special(folder, "<|tool_call|>")
            handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(folder)))
            resolved = ResolvedModel(label="m", handle=handle, created_at=0.0)
            engine = FolderCatalog().part("engines", "transformers").Engine
            engines[name] = engine(resolved, TorchHardware().probe())
        return engines[name]

    yield open_once
    for engine in engines.values():
        engine.close()


def _add_special(folder: Path, token: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [token]})
    tokenizer.save_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder)
    network.resize_token_embeddings(len(tokenizer))
    network.save_pretrained(folder)


def ask(engine: InferenceBackend, function: Any, use: ToolUse) -> list[TextDelta]:
    tools: Any = ({"type": "function", "function": function},)
    request = GenerationRequest(
        model="m",
        conversation=Conversation((Message(Role.USER, "What?"),), tools),
        sampling=Sampling(max_tokens=150, seed=3),
        tool_use=use,
    )
    return list(engine.generate(request))


@pytest.mark.parametrize("name", SIGNS)
def test_a_named_function_is_called_with_arguments_of_its_schema(
    opened: Callable[[str], InferenceBackend], name: str
) -> None:
    deltas = ask(opened(name), ADD, ToolUse(required=True, name="add"))
    pieces = [piece for delta in deltas for piece in delta.tool_calls]
    assert [piece.name for piece in pieces if piece.name] == ["add"]
    arguments = json.loads("".join(piece.arguments for piece in pieces))
    assert arguments["kind"] in ("sum", "difference")
    assert isinstance(arguments["exact"], bool)
    assert "".join(delta.text for delta in deltas) == ""
    assert deltas[-1].finish_reason == "tool_calls"
    assert len([piece for piece in pieces if piece.arguments]) > 3


def test_a_random_model_calls_nothing_unless_it_must(
    opened: Callable[[str], InferenceBackend],
) -> None:
    deltas = ask(opened("hermes"), ADD, ToolUse())
    assert not any(delta.tool_calls for delta in deltas)
    assert "".join(delta.text for delta in deltas)


def test_strict_parameters_hold_a_call_once_it_begins(
    opened: Callable[[str], InferenceBackend],
) -> None:
    """The bare format's calls begin with a brace, which a bias makes the model write."""
    engine = opened("llama3")
    tools: Any = ({"type": "function", "function": {**ADD, "strict": True}},)
    (brace,) = engine.tokenize("m", "{", False)  # type: ignore[attr-defined]
    sampling = Sampling(max_tokens=150, seed=3, logit_bias=((brace, 100.0),))
    asked = Conversation((Message(Role.USER, "What?"),), tools)
    request = GenerationRequest(model="m", conversation=asked, sampling=sampling)
    deltas = list(engine.generate(request))
    (call,) = [piece for delta in deltas for piece in delta.tool_calls]
    assert set(json.loads(call.arguments)) == {"kind", "exact"}
    loose = replace(request, conversation=replace(asked, tools=({**tools[0], "function": ADD},)))
    assert not any(delta.tool_calls for delta in engine.generate(loose))


def test_parameters_that_cannot_be_held_are_told_before_the_first_piece(
    opened: Callable[[str], InferenceBackend],
) -> None:
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "odd"}}}}
    with pytest.raises(HextuneError) as caught:
        ask(opened("hermes"), function, ToolUse(required=True))
    (found,) = caught.value.problems
    assert (found.code, found.place.field) == ("request-bad-field", "tools")
