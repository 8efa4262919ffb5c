"""Hundreds of requests at once, good, bad and broken off, over a real server process.

Afterwards it holds what it held before, and answers; an engine whose child was killed comes back.
The child is a stand-in for vLLM's server, so that the real restart runs everywhere; with
HEXTUNE_VLLM_PYTHON the same is asked of vLLM.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.generation.scheduler import SLOTS, WAITING
from adapters.vllm_command import PYTHON
from tests.doors.load_clients import (
    HEADERS,
    KEY,
    MIX,
    REFUSALS,
    Asking,
    Outcome,
    outcomes,
    streamed,
    whole,
)
from tests.doors.serve_process import Held, ServedProcess, served_process, wait_until
from tests.fakes import vllm_server
from tests.fixtures.tiny_model import build_tiny_model

CLIENTS, REQUESTS = 32, 500
WARM_UP = 96
"""Requests after which pools, caches and allocators are as large as this load makes them."""
SPARE_MIB = 64.0
"""Growth of memory that is no leak: 4 MiB were seen, 32 on a busy machine. Twenty of some thirty
bodies of 4 MiB and more would be beyond it."""
SPARE_FILES, SPARE_THREADS = 4, 8
"""What a connection or a thread that is just ending adds."""
DEAD = {(503, "engine-died"), (200, "engine-died"), (503, "model-loading")}
"""What is told of a child that was killed: before an answer, in a stream, while it starts again."""
QUIET_S = 45.0
"""Longest time until threads that wait for work have ended; they do so after 10 s."""
BACK_S = 300.0
"""Longest time until the engine answers again: vLLM takes minutes to start."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its heads are 32 wide, the least that vLLM runs on a CPU."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny", heads=2)


@pytest.fixture(scope="module", params=["transformers", "stand-in", "vllm"])
def server(
    request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedProcess]:
    folder = tmp_path_factory.mktemp("served")
    if request.param == "vllm" and PYTHON not in os.environ:
        pytest.skip(f"{PYTHON} names no interpreter that has vLLM")
    stand_in = request.param == "stand-in"
    python = {PYTHON: str(vllm_server.interpreter(folder, sys.executable))} if stand_in else {}
    engine = "transformers" if request.param == "transformers" else "vllm"
    given = ["--model", str(model), "--api-key", KEY, "--runs", str(folder / "runs")]
    with served_process(engine, given, python, folder / "log") as running:
        yield running
    assert b"Traceback" not in (folder / "log").read_bytes()


def generating(server: ServedProcess) -> float:
    """Answers under way."""
    text = httpx.get(f"{server.address}/metrics", headers=HEADERS).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (sample,) = families["hextune_running_generations"].samples
    return sample.value


def check_clear(found: list[Outcome], allowed: set[tuple[int, str]]) -> None:
    """Each got an answer, or the error its request deserves, or one of those allowed."""
    unclear = [
        each
        for each in found
        if not each.whole
        or (each.status, each.code) not in {REFUSALS.get(each.kind, (200, "")), *allowed}
    ]
    assert not unclear, Counter(unclear)
    assert all(each.retry_after for each in found if each.status in (429, 503))


def check_quiet(server: ServedProcess, before: Held, warm: Held) -> None:
    """It does nothing any more, and holds what it held: memory as when it was warm."""

    def quiet() -> bool:
        now = server.held()
        threads, files = now.threads - before.threads, now.files - before.files
        return generating(server) == 0 and threads <= SPARE_THREADS and files <= SPARE_FILES

    wait_until(quiet, QUIET_S)
    assert server.held().memory_mib < warm.memory_mib + SPARE_MIB


def answers(server: ServedProcess, model: Path, count: int) -> bool:
    """Whether so many ordinary requests at once are all answered."""
    found = outcomes(server.address, str(model), count, count, kinds=[whole])
    return [each.status for each in found] == [200] * count


def test_a_storm_leaves_nothing_behind(server: ServedProcess, model: Path) -> None:
    """In the middle of it the engine's child is killed, where it has one."""
    before = server.held()
    outcomes(server.address, str(model), CLIENTS, WARM_UP)
    warm = server.held()
    found = outcomes(server.address, str(model), CLIENTS, REQUESTS, half_way=server.kill_engine)
    check_clear(found, allowed=DEAD if server.has_child else set())
    assert {each.kind for each in found} == {kind.__name__ for kind in MIX}
    assert server.has_child is bool({code for _, code in DEAD} & {each.code for each in found})
    wait_until(server.ready, BACK_S)
    check_quiet(server, before, warm)
    assert answers(server, model, SLOTS)


def test_those_who_find_no_room_are_told_when_to_come_again(
    server: ServedProcess, model: Path
) -> None:
    """Some of those who ask together for twice the answers that the engine lets wait."""
    if server.has_child:
        pytest.skip("vLLM lets any number wait")
    choices, clients = 96, 2 * (SLOTS + WAITING) // 96

    def many(asking: Asking) -> Outcome:
        return asking.post("whole", asking.body(n=choices, max_completion_tokens=64))

    found = outcomes(server.address, str(model), clients, clients, kinds=[many])
    check_clear(found, allowed={(429, "engine-busy")})
    assert 429 in {each.status for each in found}
    wait_until(lambda: generating(server) == 0, QUIET_S)
    assert answers(server, model, SLOTS)


def test_a_child_that_is_killed_while_it_starts_is_started_again(
    server: ServedProcess, model: Path
) -> None:
    if not server.has_child:
        pytest.skip("this engine has no child")
    before = server.kill_engine()
    wait_until(lambda: bool({*server.process.children(recursive=True)} - before), BACK_S)
    server.kill_engine()
    assert not server.ready()
    found = outcomes(server.address, str(model), CLIENTS, CLIENTS, kinds=[whole, streamed])
    check_clear(found, allowed=DEAD)
    wait_until(server.ready, BACK_S)
    assert answers(server, model, CLIENTS)
