"""A trainer whose loss falls as told, and a report writer that keeps what it was given."""

from collections.abc import Sequence

from domain.events import EventKind, JobEvent
from domain.job import Job
from domain.model_handle import ModelHandle
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec
from ports.trainer import Emit, TrainOutcome, TrainRequest


class FakeTrainer:
    """Implements ports.trainer.TrainerBackend: the loss is 2 / step."""

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        adapter = spec.method.name != "full"
        return TrainerFacts(adapter_based=adapter, trainable=1000 if adapter else model.parameters)

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        total = request.plan.steps.total_steps
        emit(EventKind.PHASE, {"phase": "training"})
        for step in range(1, total + 1):
            if request.stop_asked():
                return TrainOutcome(stopped=True, step=step - 1, results={})
            emit(EventKind.STEP, step_data(step, total))
        results = {"last_loss": 2.0 / total, "adapter": True}
        return TrainOutcome(stopped=False, step=total, results=results)


def step_data(step: int, total: int) -> dict[str, int | float]:
    """The data of a step event, as a real trainer gives it."""
    return {
        "step": step,
        "total_steps": total,
        "epoch": step / total,
        "loss": 2.0 / step,
        "learning_rate": 1e-4,
        "grad_norm": 1.0,
        "tokens": 100 * step,
        "tokens_per_s": 250.0,
        "eta_s": float(total - step),
    }


class FakeReportWriter:
    """Implements ports.reports.ReportWriter."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def histogram(self, path: str, lengths: Sequence[int], limit: int) -> None:
        self.written.append(path)

    def write(
        self, job: Job, events: Sequence[JobEvent], documents: dict[str, dict[str, object]]
    ) -> None:
        self.written.append(job.id)
