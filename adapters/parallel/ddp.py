"""DistributedDataParallel: every process has the whole model, and gradients are averaged."""

from typing import Any

from domain.run_spec import RunSpec
from ports.trainer import TrainRequest


def check(spec: RunSpec) -> None:
    """Nothing beyond torch is needed."""


def arguments(request: TrainRequest) -> dict[str, Any]:
    """Every weight that learns takes part in every pass, so none is looked for."""
    return {"ddp_find_unused_parameters": False}


def wraps(trainer: Any) -> bool:
    """Whether PyTorch's wrapper is around the model."""
    from torch.nn.parallel import DistributedDataParallel

    return isinstance(trainer.model_wrapped, DistributedDataParallel)
