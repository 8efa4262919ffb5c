"""The child process that is to be vLLM, by a stand-in with a process of its own inside."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.vllm_server import MODULE, URL, VllmServer
from domain.errors import HextuneError

WAIT_S = 20.0
STAND_IN = """
import http.server, json, os, socketserver, subprocess, sys

inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = json.dumps({"told": sys.argv[3:], "processes": [os.getpid(), inner.pid]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def address_string(self):
        return "here"

socketserver.UnixStreamServer(sys.argv[2], Handler).serve_forever()
"""
STARTER = """
import json, sys, time
from adapters.vllm_server import URL, VllmServer

server = VllmServer(sys.executable, lambda: [], {"PYTHONPATH": sys.argv[1]})
print(json.dumps(server.client.get(f"{URL}/health").json()["processes"]), flush=True)
time.sleep(600)
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    """A folder to import a stand-in for vLLM's server from."""
    *packages, module = MODULE.split(".")
    folder = tmp_path.joinpath(*packages)
    folder.mkdir(parents=True)
    (folder / f"{module}.py").write_text(STAND_IN, encoding="utf-8")
    return str(tmp_path)


@pytest.fixture
def arguments() -> list[str]:
    """What the server is started with."""
    return ["first"]


@pytest.fixture
def server(stand_in: str, arguments: list[str]) -> Iterator[VllmServer]:
    with closing(VllmServer(sys.executable, lambda: arguments, {"PYTHONPATH": stand_in})) as opened:
        yield opened


def health(server: VllmServer) -> Any:
    return server.client.get(f"{URL}/health").json()


def soon(true: Callable[[], bool]) -> bool:
    """Whether something comes true within a while."""
    end = time.monotonic() + WAIT_S
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def gone(pids: Sequence[int]) -> bool:
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    )


def loading(server: VllmServer) -> bool:
    try:
        server.check()
    except HextuneError as error:
        return error.problems[0].code == "model-loading"
    return False


def test_a_kill_of_its_owner_ends_it_and_what_it_started(stand_in: str) -> None:
    import json

    owner = subprocess.Popen(
        [sys.executable, "-c", STARTER, stand_in],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    pids = json.loads(owner.stdout.readline())
    assert not gone(pids[:1])
    assert not gone(pids[1:])
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert soon(lambda: gone(pids))


def test_it_starts_again_when_it_is_killed_with_what_holds_by_then(
    server: VllmServer, arguments: list[str]
) -> None:
    first = health(server)
    arguments.append("second")
    os.kill(first["processes"][0], signal.SIGKILL)
    assert soon(lambda: loading(server))
    assert soon(lambda: not loading(server))
    second = health(server)
    assert (first["told"], second["told"]) == (["first"], ["first", "second"])
    assert gone(first["processes"])


def test_a_wanted_start_waits_for_the_answers_under_way(server: VllmServer) -> None:
    before = health(server)["processes"]
    again = threading.Thread(target=server.restart)
    with server.answering():
        again.start()
        assert soon(lambda: loading(server))
        time.sleep(0.2)
        assert health(server)["processes"] == before
        with pytest.raises(HextuneError), server.answering():
            pass
    again.join()
    assert gone(before)
    with server.answering():
        assert health(server)["processes"] != before


def test_closing_ends_everything(stand_in: str) -> None:
    server = VllmServer(sys.executable, lambda: [], {"PYTHONPATH": stand_in})
    pids = health(server)["processes"]
    server.close()
    assert gone(pids)


def test_the_error_that_ended_it_is_told(stand_in: str) -> None:
    module = Path(stand_in).joinpath(*MODULE.split(".")).with_suffix(".py")
    module.write_text(
        "print('ValueError: too little memory')\nraise RuntimeError('See root cause above.')",
        encoding="utf-8",
    )
    with pytest.raises(HextuneError) as caught:
        VllmServer(sys.executable, lambda: [], {"PYTHONPATH": stand_in})
    (problem,) = caught.value.problems
    assert problem.facts["reason"] == "ValueError: too little memory"


def test_an_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HextuneError) as caught:
        VllmServer(str(tmp_path / "python"), lambda: [], {})
    (problem,) = caught.value.problems
    assert problem.code == "engine-died"
    assert "FileNotFoundError" in str(problem.facts["reason"])
