"""Every reply, and every event of a stream, is what OpenAI's API description says it is."""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers

from domain.dataset import DatasetKind
from domain.errors import fail
from domain.events import EventKind
from domain.model_handle import ModelHandle
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec
from domain.sampling import FinishReason, GenerationRequest, TextDelta, TokenLogprob
from domain.tool_use import CallPiece
from entrypoints.container import Container
from entrypoints.http_api.app import make_app
from tests.doors.http_server import ScriptedEngine, body, echo_engine, serving
from tests.doors.openai_spec import JSON, faults, operations, reply_schema
from tests.doors.tuning_server import chat_row, lines, pair_row, tuning_container
from tests.fakes.container import fake_container
from tests.fakes.processes import FakeLauncher
from tests.fakes.training import FakeTrainer

ERROR = "#/components/schemas/ErrorResponse"
STREAMED = {
    "/chat/completions": "#/components/schemas/CreateChatCompletionStreamResponse",
    "/completions": "#/components/schemas/CreateCompletionResponse",
    "/responses": "#/components/schemas/ResponseStreamEvent",
}
"""What one event of a stream is."""
ADD: Any = {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}
TOOLS = {"tools": [{"type": "function", "function": ADD}]}


class Speaking(ScriptedEngine):
    """Implements Embedder too; its answers have everything that an answer can have."""

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        if "fail" in str(request.prompt or request.conversation.messages[-1].content):
            raise fail("engine-busy", waiting=1)
        told = request.sampling.logprobs is not None
        top = (("one", -0.5), ("two", -1.5))
        first = TokenLogprob(text="one", logprob=-0.5, top=top, offset=0)
        yield TextDelta(text="", reasoning="Hm.")
        yield TextDelta(text="one", logprobs=(first,) if told else ())
        finish: FinishReason = "length" if request.sampling.max_tokens == 1 else "stop"
        if request.conversation.tools:
            finish = "tool_calls"
            for index in range(2):
                call = CallPiece(index=index, name="add", arguments="{")
                yield TextDelta(text="", tool_calls=(call,))
                yield TextDelta(text="", tool_calls=(CallPiece(index=index, arguments="}"),))
        yield TextDelta(text="", finish_reason=finish, prompt_tokens=2, completion_tokens=1)

    def tokenize(self, model: str, prompt: str, special: bool) -> tuple[int, ...]:
        return (1, 2)

    def tokenize_conversation(self, request: GenerationRequest) -> tuple[int, ...]:
        return (1, 2)

    def detokenize(self, model: str, ids: Sequence[int]) -> str:
        return "one"

    def context_tokens(self, model: str) -> int:
        return 64

    def embed(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        return (0.6, 0.8)


class AnyRows(FakeTrainer):
    """Trains on the rows that a stage wants."""

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        kinds = {"dpo": DatasetKind.PREFERENCE, "grpo": DatasetKind.PROMPT}
        eats = kinds.get(spec.stage.name, DatasetKind.CONVERSATION)
        return replace(super().facts(spec, model), eats=eats)


class Checked:
    """A server whose every reply is held against the description."""

    def __init__(self, container: Container, address: str) -> None:
        self.container = container
        self.address = address

    def ask(self, method: str, path: str, status: int = 200, /, **more: Any) -> Any:
        """The reply to an operation, named as the description names it; `at` fills its path."""
        reply = httpx.request(method, self.url(path, more.pop("at", {})), **more)
        assert reply.status_code == status, reply.text
        schema = reply_schema(method, path, JSON) if status == 200 else {"$ref": ERROR}
        if schema is not None:
            assert list(faults(schema["$ref"], reply.json())) == []
        return reply.json()

    def stream(self, path: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a stream."""
        reply = httpx.post(self.url(path, {}), json=fields | {"stream": True})
        assert reply.status_code == 200, reply.text
        data = [x.removeprefix("data: ") for x in reply.text.splitlines() if x.startswith("data:")]
        events = [json.loads(each) for each in data if each != "[DONE]"]
        for event in events:
            schema = ERROR if "error" in event and "object" not in event else STREAMED[path]
            whole = as_whole(event) if path == "/completions" else event
            assert list(faults(schema, whole)) == [], event
        return events

    def url(self, path: str, at: Mapping[str, str]) -> str:
        """Where an operation is."""
        return f"{self.address}/v1{path.format_map(at)}"

    def send(self, rows: bytes, purpose: str = "fine-tune", **more: str) -> str:
        """A file's id."""
        files = {"file": ("rows.jsonl", rows)}
        sent: str = self.ask("POST", "/files", files=files, data={"purpose": purpose, **more})["id"]
        return sent

    def start(self, row: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, str]:
        """The path of a job that has begun."""
        rows = self.send(lines([row or chat_row()] * 4))
        asked = {"model": "fake", "training_file": rows, **fields}
        return {"fine_tuning_job_id": self.ask("POST", JOBS, json=asked)["id"]}

    def begin_upload(self, size_bytes: int = 4) -> dict[str, str]:
        """The path of an upload that has begun."""
        kind = {"purpose": "batch", "mime_type": "application/jsonl"}
        asked = {"filename": "a.jsonl", "bytes": size_bytes, **kind}
        return {"upload_id": self.ask("POST", "/uploads", json=asked)["id"]}

    def respond(self, **fields: Any) -> dict[str, str]:
        """The path of a response."""
        asked = {"model": "echo-run", "input": "x", **fields}
        return {"response_id": self.ask("POST", "/responses", json=asked)["id"]}


def as_whole(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """A chunk of a completion as if it were the last one.

    Chunks have no schema of their own: the description says in words that `usage` is null in all
    but the last, and only the last of a choice can tell why it ends.
    """
    choices = [
        {**each, "finish_reason": each["finish_reason"] or "stop"} for each in chunk["choices"]
    ]
    told = {name: value for name, value in chunk.items() if (name, value) != ("usage", None)}
    return {**told, "choices": choices}


JOBS = "/fine_tuning/jobs"
JOB = f"{JOBS}/{{fine_tuning_job_id}}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    """Its jobs succeed at once."""
    container = tuning_container(tmp_path_factory.mktemp("runs"))
    container.trainer.override(providers.Object(AnyRows()))
    with serving(Speaking(), container=container) as address:
        yield Checked(container, address)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Checked]:
    """Its jobs wait for a worker for ever."""
    container = tuning_container(tmp_path)
    container.launcher.override(providers.Object(FakeLauncher()))
    with serving(Speaking(), container=container) as address:
        yield Checked(container, address)


def models(door: Checked, method: str, path: str) -> None:
    job = door.ask("GET", JOB, at=door.start())
    name = {"model": job["fine_tuned_model"]}
    door.ask(method, path, at=name)


def chat(door: Checked, method: str, path: str) -> None:
    for fields in (
        {},
        {"n": 2, "logprobs": True, "top_logprobs": 2},
        {"max_tokens": 1},
        TOOLS,
    ):
        door.ask(method, path, json=body(**fields))
        door.stream(path, **body(**fields, stream_options={"include_usage": True}))


def completions(door: Checked, method: str, path: str) -> None:
    for fields in ({"prompt": "x"}, {"prompt": ["x", "y"], "logprobs": 2}, {"prompt": [1, 2]}):
        asked = {"model": "echo-run", **fields}
        door.ask(method, path, json=asked)
        door.stream(path, **asked, stream_options={"include_usage": True})


def embeddings(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, json={"model": "echo-run", "input": ["x", "y"]})


def responses(door: Checked, method: str, path: str) -> None:
    tools = {"tools": [{"type": "function", **ADD}], "tool_choice": "required"}
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
    for fields in (
        {},
        {"instructions": "Brief.", "metadata": {"a": "b"}, "temperature": 0.5},
        {"max_output_tokens": 1},
        {"text": {"format": form}},
        tools,
    ):
        asked: dict[str, Any] = {"model": "echo-run", "input": "x", **fields}
        door.ask(method, path, json=asked)
        door.stream(path, **asked)
    door.ask(method, path, json={"model": "echo-run", "input": "x", "background": True})


def kept_response(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, at=door.respond())


def cancelled_response(door: Checked, method: str, path: str) -> None:
    at = door.respond(background=True)
    door.ask("POST", "/responses/{response_id}/cancel", at=at)
    door.ask("GET", "/responses/{response_id}", at=at)
    failing = door.respond(background=True, input="fail")
    while door.ask("GET", "/responses/{response_id}", at=failing)["status"] != "failed":
        pass


def sent_file(door: Checked, method: str, path: str) -> None:
    lasting = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    door.send(lines([chat_row()]), **lasting)
    door.send(lines([chat_row()]), "batch")


def files(door: Checked, method: str, path: str) -> None:
    door.send(lines([chat_row()]), "user_data")
    for purpose in ("user_data", "vision"):
        door.ask(method, path, params={"purpose": purpose})


def kept_file(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, at={"file_id": door.send(lines([chat_row()]))})


def begun_upload(door: Checked, method: str, path: str) -> None:
    door.begin_upload()


def part_of_upload(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, at=door.begin_upload(), files={"data": b"text"})


def whole_upload(door: Checked, method: str, path: str) -> None:
    at = door.begin_upload()
    part = door.ask("POST", "/uploads/{upload_id}/parts", at=at, files={"data": b"text"})
    door.ask(method, path, at=at, json={"part_ids": [part["id"]]})


def cancelled_upload(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, at=door.begin_upload())


def started_job(door: Checked, method: str, path: str) -> None:
    wandb = {"type": "wandb", "wandb": {"project": "p", "tags": ["t"]}}
    numbers = {"n_epochs": 2, "batch_size": 2, "learning_rate_multiplier": 0.5}
    check = {"type": "string_check", "name": "n", "operation": "eq"}
    grader = {**check, "input": "{{sample.output_text}}", "reference": "{{item.answer}}"}
    asked = {"messages": [{"role": "user", "content": "2+2"}], "answer": "4"}
    door.start(suffix="s", seed=7, metadata={"a": "b"}, integrations=[wandb])
    supervised = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    door.start(method=supervised, validation_file=door.send(lines([chat_row()])))
    door.start(pair_row(), method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}})
    door.start(asked, method={"type": "reinforcement", "reinforcement": {"grader": grader}})


def jobs(door: Checked, method: str, path: str) -> None:
    door.start()
    door.start()
    door.ask(method, path, params={"limit": 1})
    door.ask(method, path, params={"metadata[a]": "nothing"})


def job(door: Checked, method: str, path: str) -> None:
    door.ask(method, path, at=door.start())


def controlled_job(waiting: Checked, method: str, path: str) -> None:
    """A job that is paused, resumed, cancelled; and one that failed."""
    runs = waiting.container.jobs()
    at = waiting.start()
    id = at["fine_tuning_job_id"]
    waiting.ask("POST", f"{JOB}/pause", at=at)
    runs.end(runs.get(id), EventKind.STOPPED, {"step": 1})
    waiting.ask("GET", JOB, at=at)
    waiting.ask("POST", f"{JOB}/resume", at=at)
    waiting.ask("POST", f"{JOB}/cancel", at=at)
    failed = waiting.start()
    run = runs.get(failed["fine_tuning_job_id"])
    runs.end(run, EventKind.FAILED, {"code": "c", "message": "m", "hint": "h", "field": None})
    waiting.ask("GET", JOB, at=failed)


CONTROL = {("POST", f"{JOB}/{name}"): controlled_job for name in ("cancel", "pause", "resume")}
Case = Callable[[Checked, str, str], None]
CASES: Mapping[tuple[str, str], Case] = {
    ("GET", "/models"): models,
    ("GET", "/models/{model}"): models,
    ("DELETE", "/models/{model}"): models,
    ("POST", "/chat/completions"): chat,
    ("POST", "/completions"): completions,
    ("POST", "/embeddings"): embeddings,
    ("POST", "/responses"): responses,
    ("GET", "/responses/{response_id}"): kept_response,
    ("DELETE", "/responses/{response_id}"): kept_response,
    ("POST", "/responses/{response_id}/cancel"): cancelled_response,
    ("POST", "/files"): sent_file,
    ("GET", "/files"): files,
    ("GET", "/files/{file_id}"): kept_file,
    ("DELETE", "/files/{file_id}"): kept_file,
    ("POST", "/uploads"): begun_upload,
    ("POST", "/uploads/{upload_id}/parts"): part_of_upload,
    ("POST", "/uploads/{upload_id}/complete"): whole_upload,
    ("POST", "/uploads/{upload_id}/cancel"): cancelled_upload,
    ("POST", JOBS): started_job,
    ("GET", JOBS): jobs,
    ("GET", JOB): job,
    ("GET", f"{JOB}/events"): job,
    ("GET", f"{JOB}/checkpoints"): job,
}
"""What is asked of each operation whose worker may end at once."""
AS_SENT = ("GET", "/files/{file_id}/content")
"""Whose reply is the file, and no JSON."""


def test_every_operation_we_share_is_asked() -> None:
    paths = make_app(fake_container(), echo_engine(), api_key=None).openapi()["paths"]
    ours = {(method.upper(), path) for path, item in paths.items() for method in item}
    named = {(method, bare(f"/v1{path}")): (method, path) for method, path in operations()}
    shared = {named[method, bare(path)] for method, path in ours if (method, bare(path)) in named}
    assert shared == {*CASES, *CONTROL, AS_SENT}


def bare(path: str) -> str:
    """A path without the names of its places."""
    return re.sub(r"{[^}]*}", "{}", path)


@pytest.mark.parametrize(("method", "path"), [*CASES], ids=[" ".join(each) for each in CASES])
def test_replies_are_as_described(door: Checked, method: str, path: str) -> None:
    CASES[method, path](door, method, path)


def test_jobs_under_way_are_as_described(waiting: Checked) -> None:
    controlled_job(waiting, "POST", "")


REFUSED: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "field": (400, "POST", "/chat/completions", {"json": body(n=0)}),
    "no-json": (400, "POST", "/completions", {"content": b"{"}),
    "no-response": (404, "GET", "/responses/{response_id}", {"at": {"response_id": "x"}}),
    "busy": (429, "POST", "/completions", {"json": {"model": "echo-run", "prompt": "fail"}}),
    "no-file": (404, "GET", "/files/{file_id}", {"at": {"file_id": "file-x"}}),
    "no-job": (404, "GET", JOB, {"at": {"fine_tuning_job_id": "x"}}),
    "no-route": (404, "GET", "/nothing", {}),
    "no-method": (405, "PUT", "/models", {}),
    "parameter": (400, "GET", "/files", {"params": {"limit": 0}}),
    "large": (413, "POST", "/embeddings", {"content": b"x" * (5 * 1024**2)}),
}


@pytest.mark.parametrize(("status", "method", "path", "more"), REFUSED.values(), ids=REFUSED)
def test_errors_are_as_described(
    door: Checked, status: int, method: str, path: str, more: dict[str, Any]
) -> None:
    door.ask(method, path, status, **more)


def test_an_error_within_a_stream_is_as_described(door: Checked) -> None:
    with serving(ScriptedEngine(["one", fail("engine-busy", waiting=1)])) as address:
        broken = Checked(door.container, address)
        assert "error" in broken.stream("/chat/completions", **body())[-1]
        last = broken.stream("/responses", model="echo-run", input="x")[-1]
        assert last["type"] == "error"


def test_a_wrong_key_is_told_as_described(door: Checked) -> None:
    with serving(echo_engine(), api_key="k") as address:
        Checked(door.container, address).ask("GET", "/models", 401)
