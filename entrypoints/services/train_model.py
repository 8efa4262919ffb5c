"""Train a model: load it in this process, and train what a plan says."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.events import EventKind
from domain.run_spec import Choice
from ports.model import ModelBackend
from ports.quant import QuantBackend
from ports.ranks import Training
from ports.trainer import Emit, TrainerBackend, TrainOutcome, TrainRequest


@dataclass(frozen=True, slots=True)
class TrainModel:
    """One process's part of a run: all of it, or a rank's."""

    models: ModelBackend
    trainer: TrainerBackend
    quantizer: Callable[[str], QuantBackend]

    def __call__(
        self, training: Training, emit: Emit, stop_asked: Callable[[], bool]
    ) -> TrainOutcome:
        """How it ended. Raises HextuneError for what a user can mend."""
        spec, plan = training.spec, training.plan
        emit(EventKind.PHASE, {"phase": "loading"})
        packing, packed = None, plan.model.packed
        chosen = spec.quantization or (Choice(packed.by, {}) if packed is not None else None)
        if chosen is not None:
            packing = self.quantizer(chosen.name).loading(chosen.options, plan.precision)
        request = TrainRequest(
            spec=spec,
            plan=plan,
            data=training.data,
            model=self.models.load(training.model, plan.precision, packing),
            folder=training.folder,
            resume=training.resume,
            stop_asked=stop_asked,
        )
        return self.trainer.train(request, emit)
