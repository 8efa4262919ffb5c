"""BAdam: Adam on one block of layers at a time, block after block (Luo et al. 2024).

Only the active block has gradients, states and a float32 copy. The badam package does it; what it
leaves out, the block schedule in its checkpoints, is added here, so that a run resumes exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.optimizers import Built, Weight
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section

COPIES = 3
"""Numbers kept for a weight of the active block: two moments and a float32 copy."""


@section
class Options:
    """Options of optimizer badam."""

    learning_rate: float = limited(1e-5, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    switch_every: int = limited(50, ge=1)
    """Steps a block is trained before the next one's turn."""
    order: Literal["descending", "ascending", "random"] = "descending"
    """Which block comes next: from the last layer to the first, the other way, or drawn."""


def check() -> None:
    """Raises HextuneError where badam is missing."""
    require_package("badam", extra="badam", field="optimizer.name", name="badam")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Whole layers."""
    return frozenset({Need.WHOLE_WEIGHTS})


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """Two moments and a copy of one layer, in float32."""
    linear = sum(group.inputs * group.outputs * group.count for group in model.linear)
    layer = linear // model.layers + 2 * model.hidden
    return Kept(numbers=COPIES * layer, number_bytes=4.0, gradients=layer)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """badam's block optimizer over torch's AdamW, with its schedule in `state_dict`."""
    import torch

    options = options_of(Options, values)
    base = torch.optim.AdamW(
        [weight.tensor for weight in weights],
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    made = _resumable()(
        base_optimizer=base,
        named_parameters_list=[(weight.name, weight.tensor) for weight in weights],
        switch_block_every=options.switch_every,
        switch_mode=options.order,
        verbose=0,
    )
    return Built(made)


def _resumable() -> type:
    """badam's optimizer with a state that holds its place in the schedule."""
    from badam import BlockOptimizer

    class ResumableBlocks(BlockOptimizer):  # type: ignore[misc]
        """A block optimizer that goes on with the block and the order it was saved with."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.state_dict = self._whole_state

        def switch_trainable_params(self, verbose: int | None = None) -> None:
            """Make the next block the active one."""
            self._active = self.current_block_idx
            super().switch_trainable_params(0)

        def _whole_state(self) -> dict[str, Any]:
            return {
                "base": self.base_optimizer.state_dict(),
                "copies": list(self.param_idx2hp.values()),
                "active": self._active,
                "next": self.current_block_idx,
                "order": self.block_order if self.switch_mode == "random" else [],
                "step": self.global_step,
                "rates": [group["lr"] for group in self.param_groups],
            }

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Take up the saved block, then its states."""
            self.block_order = list(state_dict["order"]) or [0]
            self.current_block_idx = state_dict["active"]
            self.switch_trainable_params()
            self.current_block_idx = state_dict["next"]
            self.block_order = list(state_dict["order"])
            self.global_step = state_dict["step"]
            for copy, saved in zip(self.param_idx2hp.values(), state_dict["copies"], strict=True):
                copy.data.copy_(saved)
            self.base_optimizer.load_state_dict(state_dict["base"])
            for group, rate in zip(self.param_groups, state_dict["rates"], strict=True):
                group["lr"] = rate

    return ResumableBlocks
