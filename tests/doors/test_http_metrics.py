"""Metrics, health, and limits of request bodies."""

import socket
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.errors import fail
from entrypoints.http_api import limits
from entrypoints.http_api.routes.metrics import CONTENT_TYPE
from tests.doors.http_server import ScriptedEngine, body, client, echo_engine, serving
from tests.doors.tuning_server import error_in, tuning_container

Labels = tuple[tuple[str, str], ...]


def figures(address: str) -> dict[tuple[str, Labels], float]:
    """(name, labels) to value of everything a server counts."""
    reply = httpx.get(f"{address}/metrics")
    assert reply.headers["content-type"] == CONTENT_TYPE
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def requests_of(method: str, route: str, status: int) -> tuple[str, Labels]:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return "hextune_requests_total", labels


def test_requests_tokens_and_jobs_are_counted(tmp_path: Path) -> None:
    with serving(echo_engine(), container=tuning_container(tmp_path)) as address:
        api = client(address)
        for _ in range(2):
            api.chat.completions.create(**body())
        list(api.chat.completions.create(**body(stream=True)))
        for id in ("file-a", "file-b"):
            httpx.get(f"{address}/v1/files/{id}")
        httpx.get(f"{address}/some/where")
        found = figures(address)
    assert found[requests_of("POST", "/v1/chat/completions", 200)] == 3
    assert found[requests_of("GET", "/v1/files/{file_id}", 404)] == 2
    assert found[requests_of("GET", "none", 404)] == 1
    assert found["hextune_tokens_total", (("kind", "completion"),)] == 9
    assert found["hextune_tokens_total", (("kind", "prompt"),)] == 9
    assert found["hextune_running_generations", ()] == 0
    waited = "hextune_request_seconds_count"
    assert found[waited, (("method", "POST"), ("route", "/v1/chat/completions"))] == 3


def test_answers_under_way_are_counted_until_their_client_leaves(tmp_path: Path) -> None:
    engine = ScriptedEngine(pause_s=0.01)
    with serving(engine, container=tuning_container(tmp_path)) as address:
        pieces = client(address).chat.completions.create(**body(stream=True))
        next(pieces)
        assert figures(address)["hextune_running_generations", ()] == 1
        pieces.close()
        assert engine.closed.wait(5)
        time.sleep(0.1)
        assert figures(address)["hextune_running_generations", ()] == 0


def test_two_doors_count_apart(tmp_path: Path) -> None:
    one, two = (tuning_container(tmp_path / name) for name in "ab")
    with serving(echo_engine(), container=one) as first:
        client(first).chat.completions.create(**body())
        with serving(echo_engine(), container=two) as second:
            assert requests_of("POST", "/v1/chat/completions", 200) not in figures(second)


def test_health_tells_alive_and_ready(tmp_path: Path) -> None:
    with serving(echo_engine(), container=tuning_container(tmp_path)) as address:
        for path, said in (("", "ready"), ("/ready", "ready"), ("/live", "live")):
            reply = httpx.get(f"{address}/health{path}")
            assert (reply.status_code, reply.json()) == (200, {"status": said})


class Away(ScriptedEngine):
    """An engine that is started again by itself."""

    def check(self) -> None:
        raise fail("model-loading")


def test_an_engine_that_starts_again_is_not_ready(tmp_path: Path) -> None:
    with serving(Away(), container=tuning_container(tmp_path)) as address:
        found = {path: httpx.get(f"{address}/health{path}") for path in ("", "/ready", "/live")}
    assert [reply.status_code for reply in found.values()] == [503, 503, 200]
    assert found[""].json() == {"status": "loading"}


def test_a_body_that_stops_coming_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAUSE_S", 0.3)
    with serving(echo_engine(), container=tuning_container(tmp_path)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n"
            line.sendall(f"{head}content-type: application/json\r\n\r\n{{".encode())
            line.settimeout(5)
            answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request-too-slow" in answer


def test_an_answer_may_take_longer_than_a_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the body is timed: waiting for the client to leave goes on as long as the answer."""
    monkeypatch.setattr(limits, "PAUSE_S", 0.2)
    engine = ScriptedEngine(["a", "b"], pause_s=0.3)
    with serving(engine, container=tuning_container(tmp_path)) as address:
        answer = client(address).chat.completions.create(**body())
    assert answer.choices[0].message.content == "ab"


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with serving(echo_engine(), container=tuning_container(tmp_path)) as address:
        content = b'{"model": "' + b"x" * (5 * 1024**2) + b'"}'
        headers = {"content-type": "application/json"}
        for path in ("/v1/chat/completions", "/v1/fine_tuning/jobs", "/v1/uploads"):
            reply = httpx.post(f"{address}{path}", content=content, headers=headers)
            assert (reply.status_code, error_in(reply)["code"]) == (413, "request-too-large")
