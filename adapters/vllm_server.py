"""vLLM's OpenAI-compatible server as a child process that is started again when it dies.

It listens on a socket in a folder that only this user can enter, so that nothing else reaches it.
Its output is in `vllm.log` there; the folder is left behind where it failed. `adapters.vllm_keeper`
stands between, so that it does not outlive this process.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters import vllm_keeper
from domain.errors import HextuneError, fail

log = logging.getLogger("hextune.vllm")

MODULE = "vllm.entrypoints.openai.api_server"
START_S = 900.0
"""Longest start; a first start compiles kernels."""
STOP_S = 15.0
"""How long it may take to end once it is asked to."""
DRAIN_S = 300.0
"""How long answers under way hold up a start on purpose; a client may have stopped reading."""
POLL_S = 0.25
STARTS = 3
"""Starts in a row that may fail before it is given up."""
ABOVE = "See root cause above"
"""What vLLM's last error says where an earlier one tells why."""
URL = "http://vllm"
"""Any name; the socket decides whom it reaches."""


class VllmServer:
    """One supervised server; `arguments` are asked for whenever it starts."""

    def __init__(
        self, python: str, arguments: Callable[[], Sequence[str]], environment: Mapping[str, str]
    ) -> None:
        import httpx

        self._folder = Path(tempfile.mkdtemp(prefix="hextune-vllm-"))
        self._socket = self._folder / "socket"
        self._log = self._folder / "vllm.log"
        keeper = [sys.executable, "-I", vllm_keeper.__file__]
        self._command = [*keeper, python, "-m", MODULE, "--uds", str(self._socket)]
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        transport = httpx.HTTPTransport(uds=str(self._socket), limits=httpx.Limits())
        self.client = httpx.Client(transport=transport, timeout=START_S)
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._answers = 0
        """Answers under way."""
        self._answered = threading.Condition()
        try:
            self._start()
        except BaseException:  # a Ctrl-C while it loads must not leave it behind
            self._stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name="vllm", daemon=True)
        self._watcher.start()

    def check(self) -> None:
        """Raises HextuneError while it cannot answer."""
        if not self._ready.is_set():
            if self._watcher.is_alive():
                raise fail("model-loading")
            raise self.died()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """It does not start again on purpose meanwhile. Raises as `check` does."""
        with self._answered:
            self.check()
            self._answers += 1
        try:
            yield
        finally:
            with self._answered:
                self._answers -= 1
                self._answered.notify_all()

    def restart(self) -> None:
        """Start it again with other arguments, after the answers that are under way.

        Until then it answers nobody else. Raises HextuneError where it does not come back.
        """
        with self._answered:
            self._ready.clear()
            self._answered.wait_for(lambda: not self._answers, DRAIN_S)
        assert self._child is not None
        _signal_group(self._child.pid, signal.SIGTERM)
        while not self._ready.wait(POLL_S):
            if not self._watcher.is_alive():
                raise self.died()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The server's reply to one small request."""
        import httpx

        try:
            return self.client.post(f"{URL}{path}", json=body)
        except httpx.HTTPError:
            raise self.died() from None

    def close(self) -> None:
        """End it and its own children, and remove its folder."""
        self._closing.set()
        self._stop()
        self._watcher.join()
        self.client.close()
        shutil.rmtree(self._folder)

    def _start(self) -> None:
        """Start it and wait until it answers. Raises HextuneError where it ends before that."""
        self._socket.unlink(missing_ok=True)
        with self._log.open("ab") as output:
            self._child = subprocess.Popen(
                [*self._command, *self._arguments()],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own: a Ctrl-C in our terminal must not end it before our answers.
                start_new_session=True,
            )
        log.info("vLLM starts as process %d, its log is %s", self._child.pid, self._log)
        deadline = time.monotonic() + START_S
        while not self._is_up():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self._stop()
                raise self.died()
            if self._closing.wait(POLL_S):
                return
        self._ready.set()

    def _is_up(self) -> bool:
        import httpx

        try:
            return self._socket.exists() and self.client.get(f"{URL}/health").is_success
        except httpx.TransportError:
            return False

    def _watch(self) -> None:
        """Start it again each time it ends by itself."""
        while not self._closing.is_set():
            assert self._child is not None
            self._child.wait()
            self._ready.clear()
            if self._closing.is_set() or not self._started_again():
                return

    def _started_again(self) -> bool:
        self._stop()
        for _ in range(STARTS):
            log.warning("vLLM ended; it is started again")
            try:
                self._start()
            except HextuneError as error:
                log.error("%s", error)
            else:
                return True
        return False

    def _stop(self) -> None:
        """End the child's whole session: its engine is a process of its own."""
        child = self._child
        assert child is not None
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            log.warning("vLLM did not end within %d s", STOP_S)
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdin is not None
        child.stdin.close()

    def died(self) -> HextuneError:
        """What there is to say of its end."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = (line for line in reversed(lines) if "Error: " in line and ABOVE not in line)
        reason = next(told, "it ended")
        return fail("engine-died", engine="vllm", reason=reason.strip(), log=self._log)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
