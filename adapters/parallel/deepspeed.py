"""DeepSpeed: ZeRO divides optimizer states, gradients and weights, and may offload them.

The model is read whole and divided when the engine takes it over.
"""

from typing import Any

from adapters.packages import require_package
from domain.deepspeed_config import deepspeed_config
from domain.run_spec import RunSpec
from ports.trainer import TrainRequest

SHARED_MEMORY = "deepspeed_shm_comm"


def check(spec: RunSpec) -> None:
    """Raises HextuneError where the package is missing."""
    require_package("deepspeed", extra="deepspeed", field="parallelism.strategy", name="deepspeed")


def arguments(request: TrainRequest) -> dict[str, Any]:
    """The settings, as the run folder's deepspeed.json has them.

    Ranks on a CPU talk through gloo alone. DeepSpeed would compile an operator for that first, a
    minute of g++ whose lock stays when a rank is killed, and all later runs would wait for it.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__[SHARED_MEMORY] = False
    return {"deepspeed": deepspeed_config(request.spec, request.plan)}


def wraps(trainer: Any) -> bool:
    """Whether DeepSpeed's engine is around the model, at the stage that was asked for."""
    from deepspeed import DeepSpeedEngine

    engine = trainer.model_wrapped
    asked = trainer.args.deepspeed["zero_optimization"]["stage"]
    return isinstance(engine, DeepSpeedEngine) and engine.zero_optimization_stage() == asked
