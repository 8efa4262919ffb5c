"""Rules of what an optimizer asks of a run; see `domain.rules` and `domain.optimizing`."""

from collections.abc import Sequence

from domain.hardware import DeviceKind
from domain.optimizing import Need
from domain.rule_context import Facts, Rule, RuleContext


def _asks(c: RuleContext, need: Need) -> bool:
    """Whether the optimizer asks this of the run."""
    return c.trainer is not None and need in c.trainer.optimizer_needs


def _whole_weights(c: RuleContext) -> Facts | None:
    if not _asks(c, Need.WHOLE_WEIGHTS) or c.trainer is None:
        return None
    wrong = c.trainer.adapter_based
    return {"optimizer": c.spec.optimizer.name, "method": c.spec.method.name} if wrong else None


def _constant_rate(c: RuleContext) -> Facts | None:
    scheduler = c.spec.schedule.scheduler
    wrong = _asks(c, Need.CONSTANT_RATE) and scheduler != "constant"
    return {"optimizer": c.spec.optimizer.name, "scheduler": scheduler} if wrong else None


def _one_pass(c: RuleContext) -> Facts | None:
    passes = c.spec.batching.accumulate
    wrong = _asks(c, Need.ONE_PASS) and passes > 1
    return {"optimizer": c.spec.optimizer.name, "passes": passes} if wrong else None


def _unclipped(c: RuleContext) -> Facts | None:
    wrong = _asks(c, Need.UNCLIPPED) and c.spec.schedule.max_grad_norm is not None
    return {"optimizer": c.spec.optimizer.name} if wrong else None


def _unscaled(c: RuleContext) -> Facts | None:
    scales = c.precision.mode == "mixed" and c.precision.compute == "float16"
    return {"optimizer": c.spec.optimizer.name} if _asks(c, Need.UNSCALED) and scales else None


def _gpu(c: RuleContext) -> Facts | None:
    wrong = _asks(c, Need.GPU) and c.hardware.kind is not DeviceKind.CUDA
    return {"device": c.hardware.name} if wrong else None


def _lone_device(c: RuleContext) -> Facts | None:
    wrong = _asks(c, Need.LONE_DEVICE) and c.hardware.count > 1
    count = c.hardware.count
    return {"optimizer": c.spec.optimizer.name, "count": count} if wrong else None


OPTIMIZER_RULES: Sequence[Rule] = (
    Rule(id="rule-optimizer-whole-weights", field="optimizer.name", breach=_whole_weights),
    Rule(
        id="rule-optimizer-constant-rate",
        field="schedule.scheduler",
        breach=_constant_rate,
    ),
    Rule(id="rule-optimizer-one-pass", field="batching.accumulate", breach=_one_pass),
    Rule(id="rule-optimizer-unclipped", field="schedule.max_grad_norm", breach=_unclipped),
    Rule(id="rule-optimizer-unscaled", field="precision.dtype", breach=_unscaled),
    Rule(id="rule-optimizer-gpu", field="optimizer.name", breach=_gpu),
    Rule(id="rule-optimizer-lone-device", field="optimizer.name", breach=_lone_device),
)
