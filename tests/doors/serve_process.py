"""`tune serve http` as a process of its own, and what the system says it holds."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

START_S = 300.0
"""Longest start: torch is imported, the model loaded, and vLLM takes a minute or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds at a moment."""

    memory_mib: float
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class ServedProcess:
    """A server that runs."""

    process: psutil.Popen
    address: str
    engine: str

    @property
    def has_child(self) -> bool:
        """Whether its engine is a process of its own."""
        return self.engine == "vllm"

    def ready(self) -> bool:
        """Whether its engine is there."""
        return httpx.get(f"{self.address}/health").is_success

    def kill_engine(self) -> set[psutil.Process]:
        """Kill its engine's process without a warning; all there were below the server.

        Only the last in line is killed, as others between are to find out.
        """
        below = set(self.process.children(recursive=True))
        for process in below - {process.parent() for process in below}:
            process.kill()
        return below

    def held(self) -> Held:
        """What it holds now, without what its children hold."""
        return Held(
            memory_mib=self.process.memory_info().rss / 1024**2,
            files=self.process.num_fds(),
            threads=self.process.num_threads(),
        )


@contextmanager
def served_process(
    engine: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[ServedProcess]:
    """A server on a free port, once its model is there; it is asked to end after the block."""
    command = [sys.executable, "-m", "hextune", "serve", "http", "--port", "0"]
    with log.open("wb") as output:
        process = psutil.Popen(
            [*command, "--engine", engine, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: process.poll() is not None or b"HTTP on" in log.read_bytes(), START_S)
        told = log.read_text(encoding="utf-8")
        assert process.poll() is None, told
        address = told.partition("HTTP on ")[2].partition("/v1")[0]
        running = ServedProcess(process, address, engine)
        wait_until(running.ready, START_S)
        yield running
        children = process.children()
        process.terminate()
        assert process.wait(30) == 0, log.read_text(encoding="utf-8")
        assert not [child for child in children if child.is_running()]
    finally:
        if process.is_running():
            process.kill()
            process.wait()


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    """Ask again and again. Fails where it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(0.1)
