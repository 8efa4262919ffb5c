"""The real container over fakes: every door and use case, without a process or a model."""

from dependency_injector import providers

from domain.job import Job, JobKind
from entrypoints.container import Container, make_container
from tests.fakes.files import FakeFiles, FakeKeyStore
from tests.fakes.jobs import FakeJobStore
from tests.fakes.models import FakeEncodedCache, FakeHardwareProbe, FakeModelBackend, FakeRowReader
from tests.fakes.processes import FakeLauncher, FakeSurroundings
from tests.fakes.scoring import FakeEvaluationReportWriter, FakeExamReader, FakeScorer
from tests.fakes.training import FakeReportWriter, FakeTrainer

SPEC = """\
model: {name: fake}
data: {train: [{path: rows.jsonl}]}
schedule: {max_steps: 3}
"""
"""A small spec the fakes can plan and run."""


def fake_container() -> Container:
    """A container whose runs, models, rows, hardware and workers are fakes.

    A started run is executed at once, inside the call that starts it.
    """
    container = make_container("unused")

    def work(job: Job, resume: bool) -> None:
        does = {
            JobKind.TRAIN: container.execute_run,
            JobKind.EVALUATE: container.evaluate_model,
            JobKind.GENERATE: container.generate_pairs,
            JobKind.PIPELINE: container.execute_pipeline,
        }[job.kind]
        does()(job.id, resume=resume, stop_asked=lambda: False)

    for name, fake in {
        "jobs": FakeJobStore(),
        "models": FakeModelBackend(),
        "hardware": FakeHardwareProbe(),
        "rows": FakeRowReader(),
        "encoded_cache": FakeEncodedCache(),
        "trainer": FakeTrainer(),
        "reports": FakeReportWriter(),
        "exams": FakeExamReader(),
        "eval_reports": FakeEvaluationReportWriter(),
        "launcher": FakeLauncher(work),
        "files": FakeFiles(),
        "keys": FakeKeyStore(),
        "surroundings": FakeSurroundings(),
    }.items():
        getattr(container, name).override(providers.Object(fake))
    container.open_scorer.override(providers.Callable(FakeScorer))
    return container
