"""vLLM itself: tools, held answers, and adapters through its starts and ends."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.catalog import FolderCatalog
from adapters.engines.vllm import Engine
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.vllm_command import PYTHON
from adapters.vllm_server import MODULE
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.model_handle import ModelHandle, ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Grammar, Sampling, TextDelta
from domain.tool_use import ToolUse
from tests.fixtures.tiny_model import build_tiny_model

pytestmark = pytest.mark.skipif(
    PYTHON not in os.environ, reason=f"{PYTHON} names no interpreter that has vLLM"
)

WAIT_S = 300.0
TEMPLATE = (
    "{# %s #}{{ tools | tojson if tools else '' }}{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
BRACES = '{"name": function name, "parameters": x }'
"""Llama 3's sign: a call is a JSON object."""
MARK = "<|tool_call|>"
"""Granite 3's sign, and a special token."""
ADD: Any = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"kind": {"enum": ["sum", "difference"]}, "exact": {"type": "boolean"}},
        "required": ["kind", "exact"],
        "additionalProperties": False,
    },
}


def tiny(folder: Path, sign: str) -> ModelHandle:
    """A tiny model whose template has the sign of a format of calls."""
    build_tiny_model(folder, template=TEMPLATE.replace("%s", sign), heads=2)
    if sign == MARK:
        add_special(folder, MARK)
    return HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(folder)))


def add_special(folder: Path, token: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [token]})
    tokenizer.save_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder)
    network.resize_token_embeddings(len(tokenizer))
    network.save_pretrained(folder)


def opened(handle: ModelHandle) -> Engine:
    resolved = ResolvedModel(label=handle.name, handle=handle, created_at=0.0)
    return Engine(resolved, TorchHardware().probe())


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> ModelHandle:
    return tiny(tmp_path_factory.mktemp("models") / "tiny", BRACES)


@pytest.fixture(scope="module")
def late(handle: ModelHandle, tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    """The model with an adapter that changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(handle.path, dtype=torch.float32)
    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapters") / "random"
    get_peft_model(network, lora).save_pretrained(folder)
    return ResolvedModel(
        label="ft:late", handle=replace(handle, adapters=(str(folder),)), created_at=1.0
    )


@pytest.fixture(scope="module")
def engine(handle: ModelHandle) -> Iterator[Engine]:
    """vLLM with no more than the model, once for the whole file."""
    with closing(opened(handle)) as running:
        yield running


def plainly(model: str, text: str = "one two three four", tokens: int = 24) -> GenerationRequest:
    sampling = Sampling(temperature=0.0, max_tokens=tokens)
    return GenerationRequest(model=model, prompt=text, sampling=sampling)


def said(engine: Engine, model: str) -> str:
    return "".join(delta.text for delta in engine.generate(plainly(model)))


def with_tools(engine: Engine, function: Any, use: ToolUse, **fields: Any) -> list[TextDelta]:
    tools: Any = ({"type": "function", "function": function},)
    request = GenerationRequest(
        model=engine.models()[0].name,
        conversation=Conversation((Message(Role.USER, "What?"),), tools),
        sampling=Sampling(**{"max_tokens": 150, "seed": 3, **fields}),
        tool_use=use,
    )
    return list(engine.generate(request))


def assert_adds(deltas: list[TextDelta]) -> None:
    """The answer is one call of `add`, told in pieces."""
    pieces = [piece for delta in deltas for piece in delta.tool_calls]
    assert [piece.name for piece in pieces if piece.name] == ["add"]
    arguments = json.loads("".join(piece.arguments for piece in pieces))
    assert arguments["kind"] in ("sum", "difference")
    assert isinstance(arguments["exact"], bool)
    assert "".join(delta.text for delta in deltas) == ""
    assert deltas[-1].finish_reason == "tool_calls"


def test_a_named_function_is_called(engine: Engine) -> None:
    deltas = with_tools(engine, ADD, ToolUse(required=True, name="add"))
    assert_adds(deltas)
    assert len([each for delta in deltas for each in delta.tool_calls if each.arguments]) > 3


def test_strict_parameters_hold_a_call_that_nobody_required(engine: Engine) -> None:
    """A bias makes the model write the brace that a call begins with."""
    (brace,) = engine.tokenize(engine.models()[0].name, "{", False)
    biased = {"logit_bias": ((brace, 100.0),)}
    assert_adds(with_tools(engine, {**ADD, "strict": True}, ToolUse(), **biased))
    loose = with_tools(engine, ADD, ToolUse(), **biased)
    assert not any(delta.tool_calls for delta in loose)
    assert "".join(delta.text for delta in loose)


def test_an_answer_to_a_chat_is_held_to_a_schema(engine: Engine) -> None:
    request = GenerationRequest(
        model=engine.models()[0].name,
        conversation=Conversation((Message(Role.USER, "What?"),)),
        sampling=Sampling(
            max_tokens=150, seed=3, grammar=Grammar(schema=json.dumps(ADD["parameters"]))
        ),
    )
    answer = json.loads("".join(delta.text for delta in engine.generate(request)))
    assert set(answer) == {"kind", "exact"}


def test_a_schema_that_cannot_be_held_is_told_and_ends_nothing(engine: Engine) -> None:
    odd = {"type": "object", "properties": {"a": {"type": "odd"}}}
    with pytest.raises(HextuneError) as caught:
        with_tools(engine, {"name": "f", "parameters": odd}, ToolUse(required=True))
    assert caught.value.problems[0].code in ("request-bad-field", "server-refused")
    assert said(engine, engine.models()[0].name)


def loading(engine: Engine) -> bool:
    try:
        engine.check()
    except HextuneError as error:
        if error.problems[0].code != "model-loading":
            raise
        return True
    return False


def wait(engine: Engine, *, until_loading: bool) -> None:
    end = time.monotonic() + WAIT_S
    while loading(engine) is not until_loading:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_first_adapter_comes_after_the_answers_under_way(
    engine: Engine, late: ResolvedModel
) -> None:
    base = engine.models()[0].name
    before = said(engine, base)
    answer = engine.generate(plainly(base, tokens=300))
    next(answer)
    adding = threading.Thread(target=engine.add_model, args=(late,))
    adding.start()
    wait(engine, until_loading=True)
    *_, last = answer
    assert last.completion_tokens > 1
    adding.join()
    assert said(engine, base) == before
    assert said(engine, late.label) != before


def test_the_base_beside_an_adapter_is_the_base(engine: Engine, late: ResolvedModel) -> None:
    base = engine.models()[0].name
    alone, stop = said(engine, base), threading.Event()

    def ask_the_other() -> None:
        while not stop.is_set():
            list(engine.generate(plainly(late.label, "x y z", 200)))

    asking = [threading.Thread(target=ask_the_other) for _ in range(2)]
    for each in asking:
        each.start()
    beside = [said(engine, base) for _ in range(4)]
    stop.set()
    for each in asking:
        each.join()
    assert beside == [alone] * 4


def test_adapters_are_there_again_after_a_kill(engine: Engine, late: ResolvedModel) -> None:
    before = said(engine, late.label)
    answer = engine.generate(plainly(late.label, tokens=300))
    next(answer)
    inside = psutil.Process().children(recursive=True)
    (child,) = [each for each in inside if MODULE in each.cmdline()[1:3]]
    child.send_signal(signal.SIGKILL)
    with pytest.raises(HextuneError) as caught:
        list(answer)
    assert caught.value.problems[0].code == "engine-died"
    wait(engine, until_loading=True)
    wait(engine, until_loading=False)
    assert said(engine, late.label) == before
    engine.remove_model(late.label)
    with pytest.raises(HextuneError):
        said(engine, late.label)
    engine.add_model(late)
    assert said(engine, late.label) == before


def test_marks_that_are_special_tokens_are_read(tmp_path: Path) -> None:
    with closing(opened(tiny(tmp_path / "tiny", MARK))) as running:
        assert_adds(with_tools(running, ADD, ToolUse(required=True, name="add")))
