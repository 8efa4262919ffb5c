"""Ranks as processes that PyTorch's elastic launcher starts, without restarts.

Each gets the environment torchrun gives (RANK, WORLD_SIZE, MASTER_ADDR, ...), in the worker's
session, and dies with the worker. The worker keeps the store through which ranks find each other,
so that no port is guessed. `ranks/N.log` in the run folder holds what rank N printed.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from domain.deepspeed_config import chosen_config
from domain.errors import HextuneError, Place, Problem, fail
from domain.hardware import DeviceKind, Hardware
from ports.ranks import Training
from ports.trainer import TrainOutcome

FOLDER = "ranks"
"""Where the ranks' logs are in a run folder."""
LAUNCHER = ".launcher"
STOP = "stop"
"""The file that asks ranks to stop: a signal would kill those that are not listening yet."""
HOST = "127.0.0.1"
POLL_S = 0.1
"""A rank whose neighbour died takes longer to end itself, so the first one found dead is it."""
TAIL_LINES = 12
TAIL_BYTES = 1 << 16


class ElasticRankLauncher:
    """Implements ports.ranks.RankLauncher."""

    def __init__(self, target: str) -> None:
        self._target = target
        """`module:function` that a rank calls with its training, its number and `stop_asked`."""

    def run(self, training: Training, stop_asked: Callable[[], bool]) -> TrainOutcome:
        """Start the ranks, hand on that a stop is asked for, wait for all of them."""
        from torch.distributed import TCPStore
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

        count, logs = training.plan.parallelism.processes, Path(training.folder) / FOLDER
        _prepare(training, logs)
        store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
        os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGHUP"  # a stop is the worker's to obey
        ranks = start_processes(
            name="rank",
            entrypoint=_rank,
            args={rank: (self._target, training, rank, str(logs)) for rank in range(count)},
            envs={
                rank: _environment(rank, count, store.port, training.plan.hardware)
                for rank in range(count)
            },
            logs_specs=DefaultLogsSpecs(log_dir=str(logs / LAUNCHER)),
            start_method="spawn",
        )
        while (ended := ranks.wait(timeout=POLL_S, period=POLL_S)) is None:
            if stop_asked():
                (logs / STOP).touch()
        if ended.is_failed():
            raise _failure(next(iter(ended.failures.values())), count, logs)
        outcome: TrainOutcome = ended.return_values[0]
        return outcome


def _prepare(training: Training, logs: Path) -> None:
    """A folder of logs without an earlier start's end, and DeepSpeed's settings for all to see."""
    for left in (*logs.glob("*.json"), logs / STOP):
        left.unlink(missing_ok=True)
    shutil.rmtree(logs / LAUNCHER, ignore_errors=True)
    (logs / LAUNCHER).mkdir(parents=True)
    settings = chosen_config(training.spec, training.plan)
    if settings is not None:
        text = json.dumps(settings, indent=2)
        (Path(training.folder) / "deepspeed.json").write_text(text, encoding="utf-8")


def _environment(rank: int, count: int, port: int, hardware: Hardware) -> dict[str, str]:
    """What torchrun tells a rank; a CPU's cores are shared out."""
    on_cpu = hardware.kind is DeviceKind.CPU
    threads = {"OMP_NUM_THREADS": f"{max(1, hardware.cores // count)}"} if on_cpu else {}
    return {
        "RANK": f"{rank}",
        "LOCAL_RANK": f"{rank}",
        "WORLD_SIZE": f"{count}",
        "LOCAL_WORLD_SIZE": f"{count}",
        "MASTER_ADDR": HOST,
        "MASTER_PORT": f"{port}",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        **threads,
        **({"DS_ACCELERATOR": "cpu"} if on_cpu else {}),
    }


def _rank(target: str, training: Training, rank: int, logs: str) -> Any:
    """A rank's whole life; what it raises for the user is kept for the worker to read."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # PyTorch has it sent when the worker dies
    worker = parent_process()
    if worker is None or not worker.is_alive():
        sys.exit("the worker died while this rank started")  # before the signal was asked for
    with (Path(logs) / f"{rank}.log").open("ab", buffering=0) as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    if "OMP_NUM_THREADS" in os.environ:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # torch was loaded before it
    module, _, name = target.partition(":")
    try:
        stop = Path(logs) / STOP
        return getattr(import_module(module), name)(training, rank, stop.exists)
    except Exception as error:
        traceback.print_exc()  # into this rank's log
        if not isinstance(error, HextuneError):
            raise
        problems = json.dumps([found.as_json() for found in error.problems])
        (Path(logs) / f"{rank}.json").write_text(problems, encoding="utf-8")
        raise


def _failure(found: Any, count: int, logs: Path) -> HextuneError:
    """The user's error of a training in which a rank failed: its own, or that it died."""
    for raised in sorted(logs.glob("*.json")):
        return HextuneError(list(map(_told, json.loads(raised.read_text(encoding="utf-8")))))
    number, code = found.local_rank, found.exitcode
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    log = logs / f"{number}.log"
    return fail("run-rank-died", rank=number, count=count, reason=reason, log=log, tail=_tail(log))


def _told(values: Mapping[str, Any]) -> Problem:
    """A problem as its `as_json` describes it."""
    place = Place(file=values["file"], line=values["line"], field=values["field"])
    return Problem(code=values["code"], place=place, facts=values["facts"])


def _tail(log: Path) -> str:
    """The last lines of a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
