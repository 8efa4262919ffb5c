"""The life of an HTTP server: taking the port, loading, disconnects, draining."""

import os
import re
import signal
import socket
import time
from collections.abc import Generator
from threading import Lock, Thread

import httpx
import pytest

from domain.errors import HextuneError, fail
from domain.sampling import GenerationRequest, TextDelta
from entrypoints.http_api.app import serve
from ports.inference import InferenceBackend
from tests.doors.http_server import ScriptedEngine, body, client, echo_engine, serving
from tests.fakes.container import fake_container


def never() -> InferenceBackend:
    pytest.fail("the model was loaded")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("key", [None, ""])
def test_a_reachable_host_needs_a_key(host: str, key: str | None) -> None:
    with pytest.raises(HextuneError) as caught:
        serve(fake_container(), never, host=host, port=0, api_key=key)
    assert caught.value.problems[0].code == "serve-needs-key"


def test_a_taken_port_is_told_before_loading() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HextuneError) as caught:
            serve(fake_container(), never, host="127.0.0.1", port=port, api_key=None)
    problem = caught.value.problems[0]
    assert problem.code == "serve-port-taken"
    assert problem.message == (f"Port {port} on 127.0.0.1 cannot be used: Address already in use.")


def test_a_host_that_is_not_there() -> None:
    with pytest.raises(HextuneError) as caught:
        serve(fake_container(), never, host="host.invalid", port=0, api_key="k")
    assert caught.value.problems[0].code == "serve-port-taken"


def test_a_model_that_cannot_be_loaded_is_told_to_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load() -> InferenceBackend:
        raise fail("model-missing", name="nowhere")

    with pytest.raises(HextuneError) as caught:
        serve(fake_container(), load, host="127.0.0.1", port=0, api_key=None)
    assert caught.value.problems[0].code == "model-missing"
    port = int(re.findall(r":(\d+)/v1", capsys.readouterr().err)[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_loading_can_be_interrupted(number: signal.Signals) -> None:
    def load() -> InferenceBackend:
        os.kill(os.getpid(), number)
        time.sleep(10)
        pytest.fail("loading went on")

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        serve(fake_container(), load, host="127.0.0.1", port=0, api_key=None)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_answers_while_loading_and_drains_before_it_ends(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(["a", "b", "c"], pause_s=0.2)
    texts: list[str | None] = []

    def drive(address: str) -> None:
        try:
            while httpx.get(f"{address}/health").status_code != 200:
                time.sleep(0.01)
            pieces = client(address).chat.completions.create(**body(stream=True))
            texts.append(next(pieces).choices[0].delta.role)
        finally:
            os.kill(os.getpid(), number)
        texts.extend(piece.choices[0].delta.content for piece in pieces)

    driver = Thread()

    def load() -> InferenceBackend:
        nonlocal driver
        address = re.fullmatch(r"HTTP on (http://127.0.0.1:\d+)/v1\n", capsys.readouterr().err)
        assert address is not None
        loading = httpx.get(f"{address[1]}/health")
        assert (loading.status_code, loading.json()) == (503, {"status": "loading"})
        early = httpx.post(f"{address[1]}/v1/chat/completions", json=body())
        assert (early.status_code, early.json()["error"]["code"]) == (503, "model-loading")
        assert early.headers["retry-after"] == "1"
        driver = Thread(target=drive, args=(address[1],))
        driver.start()
        return engine

    serve(fake_container(), load, host="127.0.0.1", port=0, api_key=None)
    driver.join()
    assert texts == ["assistant", "a", "b", "c", None]
    assert engine.ended == ["finished", "shut"]


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
@pytest.mark.parametrize("choices", [1, 3])
def test_a_client_that_leaves_a_stream_closes_the_generation(pause_s: float, choices: int) -> None:
    engine = ScriptedEngine(pause_s=pause_s)
    with serving(engine) as address:
        pieces = client(address).chat.completions.create(**body(stream=True, n=choices))
        next(pieces)
        assert not engine.ended
        pieces.close()
        assert engine.closed.wait(5)
    assert engine.ended == ["closed"] * choices


def test_a_client_that_leaves_an_unstreamed_answer_closes_the_generation() -> None:
    engine = ScriptedEngine(pause_s=0.01)
    with serving(engine) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/v1/chat/completions", json=body(), timeout=0.5)
        assert engine.closed.wait(5)
    assert engine.ended == ["closed"]


class OneByOne(ScriptedEngine):
    """An engine whose requests wait for each other, from the first piece to the last."""

    lock = Lock()

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        with self.lock:
            yield from super().generate(request)


def test_choices_may_wait_for_each_other_in_the_engine() -> None:
    with serving(OneByOne(["a", "b"])) as address:
        answer = client(address).chat.completions.create(**body(n=60), timeout=20)
    assert [choice.message.content for choice in answer.choices] == ["ab"] * 60


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    with serving(OneByOne(["x" * 50_000] * 400)) as address:
        url = f"{address}/v1/chat/completions"
        with httpx.stream("POST", url, json=body(stream=True)) as unread:
            assert unread.status_code == 200
            assert httpx.post(url, json=body(), timeout=20).status_code == 200


def test_many_clients_are_answered_at_once() -> None:
    engine = ScriptedEngine(["a"] * 5, pause_s=0.05)
    with serving(engine) as address:
        started = time.monotonic()
        asks = [
            Thread(
                target=httpx.post, args=(f"{address}/v1/chat/completions",), kwargs={"json": body()}
            )
            for _ in range(10)
        ]
        for ask in asks:
            ask.start()
        for ask in asks:
            ask.join()
        took_s = time.monotonic() - started
    assert engine.ended == ["finished"] * 10
    assert took_s < 10 * 5 * 0.05


def test_a_host_may_be_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    def end_when_ready(address: str) -> None:
        while httpx.get(f"{address}/health").status_code != 200:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    def load() -> InferenceBackend:
        address = re.findall(r"http://localhost:\d+", capsys.readouterr().err)[0]
        Thread(target=end_when_ready, args=(address,)).start()
        return echo_engine()

    serve(fake_container(), load, host="localhost", port=0, api_key=None)


def test_a_second_signal_breaks_answers_off(capsys: pytest.CaptureFixture[str]) -> None:
    engine = ScriptedEngine(pause_s=0.05)

    def drive(address: str) -> None:
        while httpx.get(f"{address}/health").status_code != 200:
            time.sleep(0.01)
        pieces = client(address).chat.completions.create(**body(stream=True))
        next(pieces)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    def load() -> InferenceBackend:
        address = re.findall(r"http://[^/]+", capsys.readouterr().err)[0]
        Thread(target=drive, args=(address,)).start()
        return engine

    started = time.monotonic()
    serve(fake_container(), load, host="127.0.0.1", port=0, api_key=None)
    assert time.monotonic() - started < 10
    assert engine.closed.wait(5)
    assert sorted(engine.ended) == ["closed", "shut"]
    assert "Traceback" not in capsys.readouterr().err
