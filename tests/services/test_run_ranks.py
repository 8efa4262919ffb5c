"""A run of several processes: planned once in the worker, trained by ranks, ended as they end."""

from collections.abc import Callable
from dataclasses import dataclass, field

from domain.errors import fail
from domain.job import JobStatus
from ports.ranks import Training
from ports.trainer import TrainOutcome
from tests.fakes.container import SPEC
from tests.services.world import World

TWO = SPEC + "parallelism: {strategy: ddp, processes: 2}\n"


@dataclass
class FakeRanks:
    """Implements ports.ranks.RankLauncher: what it was given, and the end it was told."""

    outcome: TrainOutcome | Exception
    given: list[Training] = field(default_factory=list)

    def run(self, training: Training, stop_asked: Callable[[], bool]) -> TrainOutcome:
        self.given.append(training)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_ranks_get_the_plan_and_the_rows_and_their_outcome_is_the_runs() -> None:
    ranks = FakeRanks(TrainOutcome(stopped=False, step=3, results={"last_loss": 1.0}))
    world = World()
    world.put(ranks=ranks)
    job = world.jobs.get(world.start(TWO).id)
    assert job.status is JobStatus.SUCCEEDED
    (training,) = ranks.given
    assert training.plan.parallelism.processes == 2
    assert training.data.train
    assert training.folder == job.folder
    assert "step" not in world.kinds(job)  # the worker itself trains nothing


def test_a_stop_that_ranks_obeyed_is_a_stop_of_the_run() -> None:
    world = World()
    world.put(ranks=FakeRanks(TrainOutcome(stopped=True, step=2, results={})))
    assert world.jobs.get(world.start(TWO).id).status is JobStatus.STOPPED


def test_a_rank_that_died_fails_the_run_and_says_which() -> None:
    died = fail("run-rank-died", rank=1, count=2, reason="SIGKILL", log="1.log", tail="the end")
    world = World()
    world.put(ranks=FakeRanks(died))
    job = world.jobs.get(world.start(TWO).id)
    assert job.status is JobStatus.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "run-rank-died"
    assert "the end" in job.problem["hint"]


def test_one_process_needs_no_ranks() -> None:
    ranks = FakeRanks(TrainOutcome(stopped=False, step=3, results={}))
    world = World()
    world.put(ranks=ranks)
    world.start(SPEC)
    assert not ranks.given
