"""What ranks say to each other beside gradients."""

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from domain.errors import fail


def agreed(asked: Callable[[], bool]) -> Callable[[], bool]:
    """`asked` of any rank is the answer of all, which have to ask at the same time."""

    def together() -> bool:
        import torch

        if not torch.distributed.is_initialized():
            return asked()
        on_cpu = torch.distributed.get_backend() == "gloo"
        answer = torch.tensor(int(asked()), device="cpu" if on_cpu else "cuda")
        torch.distributed.all_reduce(answer, op=torch.distributed.ReduceOp.MAX)
        return bool(answer)

    return together


def wait_for_all() -> None:
    """Return when every rank is here."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()


class WrapCheck(TrainerCallback):  # type: ignore[misc]
    """Ends a run whose model was not prepared as its strategy says.

    accelerate turns FSDP into DDP on a CPU without a word.
    """

    def __init__(self, trainer: Any, strategy: str, wraps: Callable[[Any], bool]) -> None:
        self._trainer = trainer
        self._strategy = strategy
        self._wraps = wraps

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Look at the model before its first step. Raises HextuneError."""
        if not self._wraps(self._trainer):
            found = type(self._trainer.model_wrapped).__name__
            raise fail("run-not-parallel", strategy=self._strategy, found=found)
