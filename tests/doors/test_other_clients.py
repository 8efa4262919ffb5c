"""Programs that nobody here wrote, against this server: litellm, langchain-openai, llm.

`HEXTUNE_CLIENTS_PYTHON` names an interpreter that has them, else it is this one; each is skipped
where it is not installed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.http_server import echo_engine, serving

PYTHON = os.environ.get("HEXTUNE_CLIENTS_PYTHON", sys.executable)
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
BEGINNING = """
import json, sys
url, CALL = sys.argv[1:]
ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(echo_engine()) as address:
        yield f"{address}/v1"


def run(module: str, code: str, url: str, folder: Path) -> list[object]:
    """What `code` prints as JSON lines."""
    probe = f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
    if subprocess.run([PYTHON, "-c", probe], check=False).returncode:
        pytest.skip(f"{module} is not installed")
    environment = {**os.environ, "LLM_USER_PATH": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "1"}
    done = subprocess.run(
        [PYTHON, "-c", BEGINNING + code, url, CALL],
        capture_output=True,
        text=True,
        env={**environment, "OPENAI_API_KEY": "unused"},
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("= ")]
    return [json.loads(line.removeprefix("= ")) for line in lines]


LITELLM = """
import litellm
def ask(text, **more):
    said = [{"role": "user", "content": text}]
    return litellm.completion(model="openai/echo-run", api_base=url, messages=said, **more)
print("=", json.dumps(ask("one two").choices[0].message.content))
chunks = ask("one two", stream=True)
print("=", json.dumps("".join(c.choices[0].delta.content or "" for c in chunks)))
(call,) = ask(CALL, tools=[ADD]).choices[0].message.tool_calls
print("=", json.dumps([call.function.name, call.function.arguments]))
made = litellm.responses(model="openai/echo-run", api_base=url, input="one two")
print("=", json.dumps(made.output[0].content[0].text))
"""

LANGCHAIN = """
from langchain_openai import ChatOpenAI
for newer in (False, True):
    model = ChatOpenAI(model="echo-run", base_url=url, use_responses_api=newer)
    print("=", json.dumps(model.invoke("one two").text))
    print("=", json.dumps("".join(chunk.text for chunk in model.stream("one two"))))
    (call,) = model.bind_tools([ADD]).invoke(CALL).tool_calls
    print("=", json.dumps([call["name"], call["args"]]))
"""

LLM = """
import pathlib
pathlib.Path("extra-openai-models.yaml").write_text(json.dumps([{
    "model_id": "here", "model_name": "echo-run", "api_base": url, "supports_tools": True}]))
import llm
model = llm.get_model("here")
print("=", json.dumps(model.prompt("one two", stream=False).text()))
print("=", json.dumps("".join(model.prompt("one two"))))
def add(a: int) -> str:
    "Adds."
    return str(a + 1)
print("=", json.dumps(model.chain(CALL, tools=[add], stream=False).text()))
"""


def test_litellm(url: str, tmp_path: Path) -> None:
    found = run("litellm", LITELLM, url, tmp_path)
    assert found == ["one two", "one two", ["add", '{"a": 1}'], "one two"]


def test_langchain(url: str, tmp_path: Path) -> None:
    found = run("langchain_openai", LANGCHAIN, url, tmp_path)
    assert found == ["one two", "one two", ["add", {"a": 1}]] * 2


def test_llm_calls_a_function_and_sends_its_result(url: str, tmp_path: Path) -> None:
    found = run("llm", LLM, url, tmp_path)
    assert found == ["one two", "one two", "2"]
