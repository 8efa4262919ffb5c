"""Training through TRL and transformers: stage, method and optimizer are parts of the catalogue."""

import copy
import resource
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.held_out import Measured, best_of, evaluations, is_evaluation
from adapters.methods import Start, Tuned
from adapters.models.attaching import foreign_adapters, merged
from adapters.models.float8 import in_float8
from adapters.models.hf import HfLoaded
from adapters.models.upcasting import upcast
from adapters.optimizers import Built, Weight
from adapters.parallel import strategy_of
from adapters.parallel.user_config import user_config
from adapters.rollout_stage import rollout_facts
from adapters.stages import Parts
from adapters.trackers import check_trackers
from adapters.training_arguments import training_arguments
from domain.budget import shown_bytes, shown_components
from domain.dataset import DatasetKind
from domain.errors import HextuneError, fail
from domain.events import EventKind, stage_figures
from domain.fingerprint import Json
from domain.hardware import DeviceKind
from domain.model_handle import ModelHandle
from domain.rules import remedies_for
from domain.run_plan import ReferenceKind, TrainerFacts
from domain.run_spec import RunSpec
from domain.stage import TrainingStage
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
        strategy_of(spec.parallelism.strategy).check(spec)
        check_trackers(self._catalog, spec.tracking.trackers)
        trainable = method.trainable(spec.method.options, model)
        self._catalog.part("stages", spec.stage.name).check(spec.stage.options)
        stage: TrainingStage = self._catalog.part("stages", spec.stage.name).STAGE
        start = method.start(spec.method.options, model)
        if stage.yields == "reward_model" or stage.value_head:
            trainable += model.hidden  # the value head
        writes = stage.eats is DatasetKind.PROMPT
        rollouts = rollout_facts(spec.stage.options, model) if writes else {}
        return TrainerFacts(
            adapter_based=method.ADAPTER_BASED,
            trainable=trainable,
            over_packed=start.over_packed,
            changes_base=start.changes_base,
            needs_packed=start.needs_packed,
            reads_packed=start.reads_packed,
            start_tokens=start.tokens,
            adds_weights=method.ADDS_WEIGHTS,
            continues=start.continues,
            foreign_adapters=foreign_adapters(model),
            optimizer_keeps=optimizer.keeps(spec.optimizer.options, model, trainable),
            optimizer_needs=tuple(sorted(optimizer.needs(spec.optimizer.options))),
            eats=stage.eats,
            yields=stage.yields,
            reference=_reference_kind(stage, spec.stage.options, method.ADAPTER_BASED, start),
            parallel_config=user_config(spec.parallelism.config),
            **rollouts,
        )

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        """Attach what learns, train, measure, and save the result under `model/`."""
        from adapters.parallel.agreement import agreed
        from adapters.rehearsal import check_place, rehearse
        from adapters.training_watch import Watchers, continued_from

        request = replace(request, stop_asked=agreed(request.stop_asked))
        checkpoint = continued_from(request, emit) if request.resume else None
        check_place(request)
        watch = Watchers(request, emit)
        trainer, tuned = self._trainer(request, watch.callbacks, fresh=checkpoint is None)
        built = self._optimizer(request, trainer, tuned)
        if request.stop_asked():
            return TrainOutcome(stopped=True, step=0, results={})
        emit(EventKind.PHASE, {"phase": "rehearsal"})
        rehearse(trainer, tuned, request)
        emit(EventKind.PHASE, {"phase": "training"})
        began_s = time.monotonic()
        try:
            with watch.watchdog:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except (MemoryError, RuntimeError) as error:
            raise _memory_problem(error, request) from error
        step = int(trainer.state.global_step)
        if watch.events.stopped:
            return TrainOutcome(stopped=True, step=step, results={})
        if built.finish is not None:
            built.finish()
        if request.data.eval and not _evaluated_at(trainer.state, step):
            trainer.evaluate()
        emit(EventKind.PHASE, {"phase": "saving"})
        _save_result(request, trainer, tuned)
        return TrainOutcome(
            stopped=False, step=step, results=_results(request, trainer, time.monotonic() - began_s)
        )

    def _trainer(
        self, request: TrainRequest, watchers: Sequence[Any], *, fresh: bool
    ) -> tuple[Any, Tuned]:
        """(the stage's trainer, the network of which only the method's part learns)."""
        import torch
        from transformers import set_seed

        from adapters.parallel.agreement import WrapCheck

        spec, plan, loaded = request.spec, request.plan, request.model
        if not isinstance(loaded, HfLoaded):
            raise TypeError(f"this trainer takes models of HfModelBackend, not {type(loaded)}")
        set_seed(spec.seed)
        method = self._catalog.part("methods", spec.method.name)
        stack = loaded.handle.adapters[:-1] if plan.trainer.continues else loaded.handle.adapters
        network = merged(loaded.network, stack)
        tuned = method.prepare(spec.method.options, loaded.handle, network)
        kept = upcast(tuned.network, spec.precision)
        if spec.precision.fp8:
            in_float8(tuned.network)
        strategy = strategy_of(plan.parallelism.strategy)
        arguments = training_arguments(request) | strategy.arguments(request)
        stage = self._catalog.part("stages", spec.stage.name)
        tokenizer = loaded.tokenizer
        if loaded.processor is not None and stage.STAGE.eats is DatasetKind.CONVERSATION:
            tokenizer = loaded.processor  # only conversations hold media
        callbacks = [*tuned.callbacks, *watchers]
        trainable = getattr(torch, plan.precision.trainable)
        _hold(tuned.network, trainable, kept)  # before a reference copy is made
        parts = Parts(
            network=tuned.network,
            tokenizer=tokenizer,
            data=request.data,
            model=loaded.handle,
            arguments=arguments,
            callbacks=callbacks,
            options=spec.stage.options,
            reference=_reference(plan.trainer.reference, tuned.network),
            router_aux_loss=spec.model.router_aux_loss or 0.0,
        )
        trainer = stage.build_trainer(parts)
        # TRL casts adapters over quantized weights to bfloat16, and stages add weights of their own
        _hold(trainer.model, trainable, kept)
        if tuned.begin is not None and fresh:
            tuned.begin(request.data.train)
        trainer.add_callback(WrapCheck(trainer, plan.parallelism.name, strategy.wraps))
        if plan.parallelism.processes > 1:
            torch.manual_seed(spec.seed + trainer.args.process_index)  # noise of a rank's own
        return trainer, tuned

    def _optimizer(self, request: TrainRequest, trainer: Any, tuned: Tuned) -> Built:
        """Give the trainer the spec's optimizer over what learns."""
        chosen = request.spec.optimizer
        weights = [
            Weight(name, weight, tuned.rate(name))
            for name, weight in trainer.model.named_parameters()
            if weight.requires_grad
        ]
        optimizer = self._catalog.part("optimizers", chosen.name)
        built: Built = optimizer.build(chosen.options, request.model.handle, weights)
        trainer.optimizer = trainer.asked_optimizer = built.optimizer
        return built


def _hold(network: Any, dtype: Any, kept: Collection[int]) -> None:
    """Give what learns the plan's dtype, except for weights whose ids are in `kept`."""
    for weight in network.parameters():
        if weight.requires_grad and id(weight) not in kept:
            weight.data = weight.data.to(dtype)


def _reference_kind(
    stage: TrainingStage, options: Mapping[str, Json], adapter: bool, start: Start
) -> ReferenceKind:
    """How the starting model is at hand: a copy where switching adapters off changes it."""
    if not stage.needs_reference or options.get("kl_weight") == 0:
        return ReferenceKind.NONE
    untouched = adapter and not start.changes_base and not start.continues
    return ReferenceKind.ADAPTERS_OFF if untouched else ReferenceKind.COPY


def _reference(kind: ReferenceKind, network: Any) -> Any:
    """The reference model of a network that has not learned yet."""
    from adapters.answers import adapters_off, frozen

    if kind is ReferenceKind.COPY:
        return frozen(copy.deepcopy(network))
    return adapters_off if kind is ReferenceKind.ADAPTERS_OFF else None


def _save_result(request: TrainRequest, trainer: Any, tuned: Tuned) -> None:
    """Write the last weights under `model/`, or those of the best evaluation."""
    from adapters.best_weights import take_best
    from adapters.parallel.agreement import wait_for_all

    if request.spec.output.keep_best:
        wait_for_all()
        take_best(trainer.model, Path(request.folder) / "checkpoints")
    target = Path(request.folder) / RESULT_FOLDER
    trainer.save_model(str(target))
    first = bool(trainer.is_world_process_zero())
    if tuned.save is not None and first:
        tuned.save(str(target))
    if first and isinstance(request.model, HfLoaded) and request.model.processor is not None:
        request.model.processor.save_pretrained(target)


def _evaluated_at(state: Any, step: int) -> bool:
    return any(is_evaluation(entry) and entry["step"] == step for entry in state.log_history)


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
        components=shown_components(request.plan.memory),
        remedies=remedies_for(request.spec, request.data.longest),
    )


def _results(request: TrainRequest, trainer: Any, seconds: float) -> dict[str, Json]:
    """Final figures of a run."""
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    measured = evaluations(history, request.data.eval)
    held_out = [each.figures["loss"] for each in measured]
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
        "continued": request.plan.trainer.continues,
        "yields": request.plan.trainer.yields,
        "figures": _last_figures(history, measured),
        **_best(request, measured, int(trainer.state.global_step)),
        "streamed": stream.account.as_json() if stream is not None else None,
    }


def _last_figures(
    history: Sequence[Mapping[str, Any]], measured: Sequence[Measured]
) -> dict[str, Json]:
    """What a stage measured last beside its loss; `eval_` begins the names of held-out rows."""
    found: dict[str, Json] = {}
    for entry in history:
        if not is_evaluation(entry):
            found |= stage_figures(entry)
    for each in measured:
        found |= {f"eval_{name}": value for name, value in stage_figures(each.figures).items()}
    return found


def _best(request: TrainRequest, measured: Sequence[Measured], step: int) -> dict[str, Json]:
    """Which step the result is of, and the best evaluation with each source's figures."""
    if not measured:
        return {"result_step": step, "best": None, "sources": {}}
    figure = request.spec.tracking.best_by
    best = best_of(measured, figure)
    return {
        "result_step": best.step if request.spec.output.keep_best else step,
        "best": {"step": best.step, "figure": figure, "value": best.value},
        "sources": {name: dict(each) for name, each in measured[-1].sources.items()},
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
