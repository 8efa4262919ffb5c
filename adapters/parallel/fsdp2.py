"""FSDP2: PyTorch's fully_shard makes every weight a DTensor, of which each process has a part.

Each decoder layer is a group of its own, gathered when it computes.
"""

from typing import Any

from domain.run_spec import RunSpec
from ports.trainer import TrainRequest


def check(spec: RunSpec) -> None:
    """Nothing beyond torch is needed."""


def arguments(request: TrainRequest) -> dict[str, Any]:
    """Every process writes its part of a checkpoint."""
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "reshard_after_forward": True,
            "state_dict_type": "SHARDED_STATE_DICT",
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "cpu_ram_efficient_loading": False,
        },
    }


def wraps(trainer: Any) -> bool:
    """Whether every weight is divided."""
    from torch.distributed.tensor import DTensor

    return all(isinstance(weight, DTensor) for weight in trainer.model_wrapped.parameters())
