"""Responses in the background: made while nobody waits, looked at, cancelled, and kept."""

import time
from collections.abc import Callable, Generator
from threading import Event
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from domain.errors import fail
from domain.sampling import GenerationRequest, TextDelta
from domain.tool_use import CallPiece
from entrypoints.http_api import background
from tests.doors.http_server import ScriptedEngine, client, echo_engine, serving

PATIENCE_S = 10.0


class Gated(ScriptedEngine):
    """Says its script piece by piece, each once it is let go on."""

    def __init__(self, script: list[str | Exception]) -> None:
        super().__init__(script)
        self.begun, self.go_on = Event(), Event()

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        self.begun.set()
        for delta in super().generate(request):
            yield delta
            assert self.go_on.wait(PATIENCE_S)


def begin(address: str, **fields: Any) -> Response:
    asked = {"model": "echo-run", "input": "one two", **fields}
    made: Response = client(address).responses.create(**asked, background=True)
    return made


def until(address: str, id: str, true: Callable[[Response], bool]) -> Response:
    """The response once it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true(found := client(address).responses.retrieve(id)):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def ended(response: Response) -> bool:
    return response.status not in ("queued", "in_progress")


def code_of(reply: httpx.Response) -> tuple[int, str, str | None]:
    error = reply.json()["error"]
    return reply.status_code, error["code"], error["param"]


def test_it_is_replied_at_once_and_followed_to_its_end() -> None:
    engine = Gated(["one ", "two"])
    with serving(engine) as address:
        begun = begin(address)
        assert (begun.status, begun.background, begun.output) == ("queued", True, [])
        halfway = until(address, begun.id, lambda found: found.output_text == "one ")
        assert halfway.status == "in_progress"
        engine.go_on.set()
        whole = until(address, begun.id, ended)
        assert (whole.status, whole.output_text) == ("completed", "one two")
        assert whole.usage
        assert whole.usage.output_tokens == 2
        again = client(address).responses.create(
            model="echo-run", input="more", previous_response_id=begun.id
        )
        assert again.status == "completed"
    assert [m.content for m in engine.requests[1].conversation.messages] == [
        "one two",
        "one two",
        "more",
    ]


def test_a_cancelled_one_stops_generating_and_keeps_what_it_has() -> None:
    engine = ScriptedEngine(pause_s=0.01)
    with serving(engine) as address:
        begun = begin(address)
        until(address, begun.id, lambda found: bool(found.output_text))
        cancelled = client(address).responses.cancel(begun.id)
        assert engine.ended == ["closed"]
        assert cancelled.status == "cancelled"
        (item,) = cancelled.output
        assert item.type == "message"
        assert item.status == "incomplete"
        assert cancelled.output_text.startswith("again ")
        assert client(address).responses.retrieve(begun.id) == cancelled
        assert client(address).responses.cancel(begun.id) == cancelled


def test_one_that_waits_for_the_engine_can_be_cancelled() -> None:
    engine = Gated(["one"])
    with serving(engine) as address:
        begun = begin(address)
        assert engine.begun.wait(PATIENCE_S)
        engine.go_on.set()
        assert client(address).responses.cancel(begun.id).status in ("cancelled", "completed")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fail("request-too-long", prompt=9, asked=1, context=8), "invalid_prompt"),
        (fail("engine-busy", waiting=3), "rate_limit_exceeded"),
        (fail("model-loading"), "server_error"),
        (ZeroDivisionError("inner"), "server_error"),
    ],
)
def test_a_failure_is_told_by_the_response(error: Exception, code: str) -> None:
    with serving(ScriptedEngine(["one", error])) as address:
        failed = until(address, begin(address).id, ended)
    assert (failed.status, failed.output_text) == ("failed", "one")
    assert failed.error
    assert failed.error.code == code
    assert "inner" not in failed.error.message


def test_what_is_known_to_fail_is_told_at_once() -> None:
    with serving(echo_engine()) as address, pytest.raises(openai.NotFoundError) as caught:
        begin(address, model="gpt")
    assert caught.value.code == "model-not-served"


def test_one_under_way_is_not_gone_on_from_nor_deleted() -> None:
    engine = Gated(["one"])
    with serving(engine) as address:
        begun = begin(address)
        asked = {"model": "echo-run", "input": "x", "previous_response_id": begun.id}
        url = f"{address}/v1/responses"
        wanted = (409, "response-running")
        assert code_of(httpx.post(url, json=asked)) == (*wanted, "previous_response_id")
        assert code_of(httpx.delete(f"{url}/{begun.id}")) == (*wanted, None)
        engine.go_on.set()
        until(address, begun.id, ended)
        client(address).responses.delete(begun.id)
        with pytest.raises(openai.NotFoundError):
            client(address).responses.cancel(begun.id)


def test_one_that_was_waited_for_cannot_be_cancelled() -> None:
    with serving(echo_engine()) as address:
        made = client(address).responses.create(model="echo-run", input="x")
        with pytest.raises(openai.BadRequestError) as caught:
            client(address).responses.cancel(made.id)
    assert caught.value.code == "response-not-background"


@pytest.mark.parametrize(("field", "value"), [("stream", True), ("store", False)])
def test_what_does_not_go_with_it_is_refused_by_name(field: str, value: bool) -> None:
    with serving(echo_engine()) as address:
        asked = {"model": "echo-run", "input": "x", "background": True, field: value}
        reply = httpx.post(f"{address}/v1/responses", json=asked)
        assert code_of(reply) == (400, "request-bad-field", field)
        made = client(address).responses.create(model="echo-run", input="x")
        for parameter in ("stream=true", "starting_after=1", "include=usage"):
            reply = httpx.get(f"{address}/v1/responses/{made.id}?{parameter}")
            assert reply.status_code == 400
            assert code_of(reply)[2] == parameter.partition("=")[0]


def test_only_so_many_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST", 1)
    engine = Gated(["one"])
    with serving(engine) as address:
        first = begin(address)
        with pytest.raises(openai.RateLimitError) as caught:
            begin(address)
        assert caught.value.response.headers["retry-after"]
        engine.go_on.set()
        until(address, first.id, ended)
        until(address, begin(address).id, ended)


def test_they_end_with_the_server() -> None:
    engine = ScriptedEngine(pause_s=0.01)
    started = time.monotonic()
    with serving(engine) as address:
        begin(address)
        until(address, begin(address).id, lambda found: bool(found.output_text))
    assert engine.ended == ["closed", "closed"]
    assert time.monotonic() - started < PATIENCE_S


class HalfACall(ScriptedEngine):
    """Ends within the arguments of a call."""

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        yield TextDelta(text="", tool_calls=(CallPiece(index=0, name="add", arguments='{"a"'),))
        yield TextDelta(text="", finish_reason="length", prompt_tokens=1, completion_tokens=1)


def test_nothing_goes_on_from_half_a_call() -> None:
    with serving(HalfACall()) as address:
        made = client(address).responses.create(model="echo-run", input="x")
        asked = {"model": "echo-run", "input": "x", "previous_response_id": made.id}
        reply = httpx.post(f"{address}/v1/responses", json=asked)
    assert code_of(reply) == (400, "request-bad-field", "previous_response_id")
