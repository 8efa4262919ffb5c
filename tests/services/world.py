"""The use cases over fakes, with every fake at hand."""

from collections.abc import Mapping
from typing import Any

import pytest
from dependency_injector import providers

from domain.errors import HextuneError, Problem
from domain.job import Job, JobStatus, WorkerId
from entrypoints.container import Container
from ports.spec_reader import SpecText
from tests.fakes.container import SPEC, fake_container
from tests.fakes.models import FakeRowReader
from tests.fakes.processes import FakeLauncher

Rows = list[Mapping[str, object]]


class World:
    """A container over fakes; a worker starts at once with `working`, and never without it."""

    def __init__(self, *, working: bool = True, rows: Mapping[str, Rows] | None = None) -> None:
        self.container: Container = fake_container()
        if rows is not None:
            self.put(rows=FakeRowReader(dict(rows)))
        if not working:
            self.put(launcher=FakeLauncher())
        self.jobs: Any = self.container.jobs()
        self.launcher: Any = self.container.launcher()
        self.surroundings: Any = self.container.surroundings()

    def put(self, **fakes: object) -> None:
        """Replace fakes by name."""
        for name, fake in fakes.items():
            getattr(self.container, name).override(providers.Object(fake))

    def start(self, text: str = SPEC, request_id: str | None = None) -> Job:
        """Start a run of a YAML spec."""
        started: Job = self.container.start_run()(spec_text(text), request_id)
        return started

    def queued(self) -> Job:
        """A run that was recorded and whose worker is taken away, so that one can be played."""
        self.put(launcher=FakeLauncher())
        return self.start()

    def running(self) -> Job:
        """A run whose worker, number 7, is at it."""
        job = self.queued()
        self.jobs.save(job.moved(JobStatus.RUNNING))
        assigned: Job = self.jobs.assign(job, WorkerId(pid=7, started_at=1.0))
        return assigned

    def kinds(self, job: Job) -> list[str]:
        """What happened in a run, as kinds of event."""
        return [event.kind.value for event in self.jobs.events(job)]


def spec_text(text: str = SPEC, *overrides: str) -> SpecText:
    return SpecText(text=text, format="yaml", source="run.yaml", overrides=overrides)


def problems(call: Any, *arguments: Any, **named: Any) -> list[Problem]:
    """The problems a call is refused for."""
    with pytest.raises(HextuneError) as caught:
        call(*arguments, **named)
    return list(caught.value.problems)


def codes(call: Any, *arguments: Any, **named: Any) -> list[str]:
    return [found.code for found in problems(call, *arguments, **named)]
