"""The watchdog: silent while a run moves, one warning and all stacks when it does not."""

import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from adapters.watchdog import Watchdog
from domain.events import EventKind
from domain.fingerprint import Json

SHORT_S = 0.4


def watched(seconds: float, moves: int) -> list[Mapping[str, Json]]:
    """What is told about a run that moves so often in so many seconds, then no more."""
    told: list[Mapping[str, Json]] = []

    def emit(kind: EventKind, data: Mapping[str, Json]) -> None:
        assert kind is EventKind.WARNING
        told.append(data)

    with Watchdog(SHORT_S, emit) as dog:
        for step in range(moves):
            dog.on_step_end(None, SimpleNamespace(global_step=step), None)
            time.sleep(seconds / moves)
    return told


def test_a_run_that_moves_is_left_alone() -> None:
    assert watched(2 * SHORT_S, moves=40) == []


def test_a_run_that_stands_still_is_told_once_with_every_stack(
    capfd: pytest.CaptureFixture[str],
) -> None:
    (told,) = watched(3 * SHORT_S, moves=1)
    assert (told["code"], told["facts"]["step"]) == ("run-stalled", "0")  # type: ignore[index, call-overload]
    assert "test_watchdog.py" in capfd.readouterr().err


def test_the_thread_ends_with_the_training() -> None:
    watched(0.01, moves=1)
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}
