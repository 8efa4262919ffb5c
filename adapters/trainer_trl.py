"""Training through TRL and transformers: stage, method and optimizer are parts of the catalogue."""

import resource
import time
from pathlib import Path
from typing import Any

from adapters.methods import Tuned
from adapters.models.hf import HfLoaded
from adapters.optimizers import Weight
from adapters.training_arguments import training_arguments
from domain.budget import shown_bytes
from domain.dataset import DatasetKind
from domain.errors import HextuneError, fail
from domain.events import EventKind
from domain.fingerprint import Json
from domain.hardware import DeviceKind
from domain.model_handle import ModelHandle
from domain.rules import remedies_for
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec
from ports.catalog import Catalog
from ports.trainer import Emit, TrainOutcome, TrainRequest

RESULT_FOLDER = "model"


class TrlTrainerBackend:
    """Implements ports.trainer.TrainerBackend."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        """What the spec's method would train. Raises HextuneError for layers the model lacks."""
        method = self._catalog.part("methods", spec.method.name)
        optimizer = self._catalog.part("optimizers", spec.optimizer.name)
        optimizer.check()
        trainable = method.trainable(spec.method.options, model)
        numbers, width = optimizer.states(spec.optimizer.options, model, trainable)
        return TrainerFacts(
            adapter_based=method.ADAPTER_BASED,
            trainable=trainable,
            over_packed=method.OVER_PACKED,
            optimizer_numbers=numbers,
            optimizer_number_bytes=width,
            optimizer_needs=tuple(sorted(optimizer.NEEDS)),
            changes_base=method.changes_base(spec.method.options),
            eats=self._catalog.part("stages", spec.stage.name).STAGE.eats,
        )

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        """Attach what learns, train, measure, and save the result under `model/`."""
        from adapters.training_events import EventCallback, newest_checkpoint, step_of

        checkpoint = None
        if request.resume:
            checkpoint = newest_checkpoint(Path(request.folder) / "checkpoints")
            emit(EventKind.RESUMED, {"step": step_of(checkpoint) if checkpoint else 0})
        callback = EventCallback(request, emit)
        trainer, tuned = self._trainer(request, callback)
        if request.stop_asked():
            return TrainOutcome(stopped=True, step=0, results={})
        emit(EventKind.PHASE, {"phase": "training"})
        began_s = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except (MemoryError, RuntimeError) as error:
            raise _memory_problem(error, request) from error
        step = int(trainer.state.global_step)
        if callback.stopped:
            return TrainOutcome(stopped=True, step=step, results={})
        if request.data.eval and not _evaluated_at(trainer.state, step):
            trainer.evaluate()
        emit(EventKind.PHASE, {"phase": "saving"})
        target = Path(request.folder) / RESULT_FOLDER
        trainer.save_model(str(target))
        if tuned.save is not None:
            tuned.save(str(target))
        if isinstance(request.model, HfLoaded) and request.model.processor is not None:
            request.model.processor.save_pretrained(target)
        return TrainOutcome(
            stopped=False, step=step, results=_results(request, trainer, time.monotonic() - began_s)
        )

    def _trainer(self, request: TrainRequest, callback: Any) -> tuple[Any, Tuned]:
        """(the stage's trainer, the network of which only the method's part learns)."""
        import torch
        from transformers import set_seed

        spec, loaded = request.spec, request.model
        if not isinstance(loaded, HfLoaded):
            raise TypeError(f"this trainer takes models of HfModelBackend, not {type(loaded)}")
        set_seed(spec.seed)
        method = self._catalog.part("methods", spec.method.name)
        tuned = method.prepare(spec.method.options, loaded.handle, loaded.network)
        arguments = training_arguments(request)
        stage = self._catalog.part("stages", spec.stage.name)
        tokenizer = loaded.tokenizer
        if loaded.processor is not None and stage.STAGE.eats is DatasetKind.CONVERSATION:
            tokenizer = loaded.processor  # only conversations hold media
        trainer = stage.build_trainer(tuned.network, tokenizer, request.data, arguments, [callback])
        # TRL casts adapters over quantized weights to bfloat16; the plan's dtype holds here.
        trainable = getattr(torch, request.plan.precision.trainable)
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(trainable)
        optimizer = self._catalog.part("optimizers", spec.optimizer.name)
        trainer.optimizer = optimizer.build(
            spec.optimizer.options,
            [
                Weight(name, weight, tuned.rate(name))
                for name, weight in trainer.model.named_parameters()
                if weight.requires_grad
            ],
        )
        return trainer, tuned


def _evaluated_at(state: Any, step: int) -> bool:
    return any("eval_loss" in entry and entry["step"] == step for entry in state.log_history)


def _memory_problem(error: Exception, request: TrainRequest) -> Exception:
    """The user's error for memory that ran out, or `error` itself for anything else."""
    import torch

    if isinstance(error, HextuneError):
        return error
    exhausted = isinstance(
        error, (MemoryError, torch.OutOfMemoryError)
    ) or "can't allocate memory" in str(error)
    if not exhausted:
        return error
    return fail(
        "run-out-of-memory",
        planned=shown_bytes(request.plan.memory.total),
        remedies=remedies_for(request.spec, request.data.longest),
    )


def _results(request: TrainRequest, trainer: Any, seconds: float) -> dict[str, Json]:
    """Final figures of a run."""
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    held_out = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    stream = request.data.stream
    return {
        "steps": int(trainer.state.global_step),
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "first_eval_loss": held_out[0] if held_out else None,
        "last_eval_loss": held_out[-1] if held_out else None,
        "tokens": int(trainer.state.num_input_tokens_seen),
        "train_seconds": round(seconds, 3),
        "peak_memory_bytes": _peak_bytes(request),
        "optimizer_state_bytes": _state_bytes(trainer.optimizer),
        "planned_memory_bytes": request.plan.memory.total,
        "trainable": request.plan.trainer.trainable,
        "adapter": request.plan.trainer.adapter_based,
        "streamed": stream.account.as_json() if stream is not None else None,
    }


def _state_bytes(optimizer: Any) -> int:
    """Bytes of every tensor in an optimizer's state, however deep, shared ones once."""
    import torch

    seen: set[int] = set()

    def size(value: Any) -> int:
        if isinstance(value, torch.Tensor):
            known = value.data_ptr() in seen
            seen.add(value.data_ptr())
            return 0 if known else value.numel() * value.element_size()
        if isinstance(value, dict):
            return sum(map(size, value.values()))
        if isinstance(value, list | tuple):
            return sum(map(size, value))
        projects = type(value).__module__.startswith(("galore_torch", "apollo_torch"))
        return size(vars(value)) if projects else 0

    return size(optimizer.state_dict())


def _peak_bytes(request: TrainRequest) -> int:
    """Peak memory: allocated on the device, or of this process on a CPU, libraries included."""
    import torch

    if request.plan.hardware.kind is DeviceKind.CUDA:
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
