"""Workers as processes of their own session: closing a terminal or a door does not end them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from domain.job import Job, WorkerId

START_TOLERANCE_S = 1.0
"""Clock readings of one process's start differ by less than this."""


class ProcessLauncher:
    """Implements ports.launcher.WorkerLauncher."""

    def start(self, job: Job, resume: bool) -> WorkerId:
        """`python -m hextune worker FOLDER`; its output goes to worker.log in the run folder."""
        command = [sys.executable, "-m", "hextune", "worker", job.folder]
        if resume:
            command.append("--resume")
        paths = [entry for entry in sys.path if entry]
        with (Path(job.folder) / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=job.working_folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        return WorkerId(pid=process.pid, started_at=psutil.Process(process.pid).create_time())

    def stop(self, worker: WorkerId, *, now: bool = False) -> None:
        """SIGTERM asks for a checkpoint and an end; SIGKILL to the whole session ends it now."""
        if not self.alive(worker):
            return
        if now:
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            os.kill(worker.pid, signal.SIGTERM)

    def alive(self, worker: WorkerId) -> bool:
        """Whether a process with that number and that start is there and not a zombie."""
        try:
            process = psutil.Process(worker.pid)
            same = abs(process.create_time() - worker.started_at) < START_TOLERANCE_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
