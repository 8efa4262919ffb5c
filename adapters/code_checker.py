"""Generated programs, each run by a Python of its own: limits, an empty folder, no network.

A program gets no environment and a temporary folder that is deleted afterwards. Limits of memory,
processor time and file size are set before its first line. Where the system allows it, util-linux'
`unshare` puts it into namespaces without network and with process numbers of its own, so that
nothing it started outlives it. This bounds mistakes; it is no wall against an attacker, as files
that this user may read stay readable.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ports.program_checker import ProgramLimits

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
LARGEST_FILE_BYTES = 16 << 20
SHOWN_CHARACTERS = 200
STARTER = """\
import resource, sys
path, seconds, memory, file_bytes = sys.argv[1], *map(int, sys.argv[2:])
for name, limit in (
    (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds),
    (resource.RLIMIT_FSIZE, file_bytes), (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(name, (limit, limit))
sys.argv = [path]
with open(path, encoding="utf-8") as file:
    code = compile(file.read(), path, "exec")
exec(code, {"__name__": "__main__"})
"""
"""Sets the limits in the process they are for, then becomes the program."""


class SubprocessChecker:
    """Implements ports.program_checker.ProgramChecker."""

    def check(self, program: str, limits: ProgramLimits) -> str | None:
        """None where it ran to its end: a word of chance, printed last, proves that."""
        word = secrets.token_hex(8)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "program.py"
            path.write_text(f"{program}\nprint({word!r})\n", encoding="utf-8", errors="replace")
            told, output = Path(folder) / "stderr", Path(folder) / "stdout"
            with output.open("wb") as out, told.open("wb") as err:
                status = _run(path, limits, out.fileno(), err.fileno())
            if status is None:
                return f"it ran longer than {limits.time_s:g} s"
            if status == 0 and _end(output) == word:
                return None
            return _end(told)[-SHOWN_CHARACTERS:] or f"it ended early with status {status}"

    def isolation(self) -> str:
        """Whether programs are kept from the network, and how."""
        held = "with limits of time and memory, in a temporary folder"
        if _namespaces():
            return f"Programs ran in processes of their own, {held}, without network."
        return (
            f"Programs ran in processes of their own, {held}; this system lets no user cut off "
            "their network."
        )


def _run(path: Path, limits: ProgramLimits, out: int, err: int) -> int | None:
    """The exit status; None where time was up. Everything the program started is killed."""
    bounds = (int(limits.time_s) + 1, limits.memory_mb << 20, LARGEST_FILE_BYTES)
    command = [sys.executable, "-I", "-c", STARTER, str(path), *map(str, bounds)]
    process = subprocess.Popen(
        [*_namespaces(), *command],
        cwd=path.parent,
        env={"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )
    try:
        return process.wait(limits.time_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):  # all of it may have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end(path: Path) -> str:
    """The last line that says something."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2000))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


@cache
def _namespaces() -> tuple[str, ...]:
    """The command that cuts a program off, or nothing where the system does not allow it."""
    try:
        tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return ()
    return UNSHARE if tried.returncode == 0 else ()
