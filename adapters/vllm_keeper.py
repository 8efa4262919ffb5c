"""Runs a command that ends when whoever started this does, even by SIGKILL: a program of its own.

    python -I vllm_keeper.py COMMAND...

Its standard input is a pipe that only the starter holds open, as the system closes it however the
starter ends. It leads a session of its own, which is killed then with everything in it. It outlives
a SIGTERM to the session, so that the command's own end and status are what is told.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence


def main(command: Sequence[str]) -> int:
    """Run the command to its end; its status, negative where a signal ended it."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    return subprocess.call(command, stdin=subprocess.DEVNULL)


def _end_with_starter() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
