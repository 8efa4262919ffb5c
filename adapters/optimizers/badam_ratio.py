"""BAdam by ratio: Adam on a share of every matrix at a time (the badam package's second form).

Gradients are cut to the active share as they arrive, so states and steps are that share's. Two
things are added to the package: its place in the schedule is in its checkpoints, so that a run
resumes exactly; and the cut gradients, which are sparse, wait inside the optimizer, as torch has
no norm of sparse gradients and a trainer takes one before each step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.optimizers import (
    IN_BACKWARD,
    Built,
    Weight,
    matrix_weights,
    parameter_groups,
)
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer badam_ratio."""

    learning_rate: float = limited(1e-5, gt=0)
    """Peak learning rate."""
    ratio: float = limited(0.05, gt=0, lt=1)
    """Share of every matrix that learns at a time."""
    switch_every: int = limited(50, ge=1)
    """Steps a share is trained before the next one's turn."""


def check() -> None:
    """Raises HextuneError where badam is missing."""
    require_package("badam", extra="badam", field="optimizer.name", name="badam_ratio")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Whole layers, and nothing that wants all gradients."""
    return IN_BACKWARD | {Need.WHOLE_WEIGHTS}


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """Two moments for the active share of the layers' weights."""
    layers = matrix_weights(model.linear) + 2 * model.hidden * model.layers
    return Kept(numbers=round(2 * options_of(Options, values).ratio * min(layers, trainable)))


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """badam's ratio optimizer over the layers, with its schedule in `state_dict`.

    Embeddings and output head stay as they are.
    """
    options = options_of(Options, values)
    layers = [weight for weight in weights if _in_layer(weight.name)]
    for weight in weights:
        weight.tensor.requires_grad_(_in_layer(weight.name))
    made = _resumable()(
        param_groups=parameter_groups(
            layers, learning_rate=options.learning_rate, weight_decay=0.0
        ),
        named_parameters_list=[(weight.name, weight.tensor) for weight in layers],
        update_ratio=options.ratio,
        switch_every=options.switch_every,
        lr=options.learning_rate,
        include_embedding=True,
        include_lm_head=True,
        verbose=0,
    )
    return Built(made)


def _in_layer(name: str) -> bool:
    """Whether a path goes through a numbered layer."""
    return any(part.isdigit() for part in name.split("."))


def _resumable() -> type:
    """badam's optimizer with a state that holds its place in the schedule."""
    from badam import BlockOptimizerRatio

    class ResumableShares(BlockOptimizerRatio):  # type: ignore[misc]
        """A ratio optimizer that goes on with the share it was saved with."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self._waiting: dict[Any, Any] = {}
            for _, tensor in self.named_parameters_list:
                tensor.register_post_accumulate_grad_hook(self._keep)

        def _keep(self, tensor: Any) -> None:
            self._waiting[tensor], tensor.grad = tensor.grad, None

        def step(self, closure: Any = None) -> None:
            """A step with the gradients that wait."""
            for tensor, gradient in self._waiting.items():
                tensor.grad = gradient
            self._waiting.clear()
            super().step()

        def state_dict(self) -> dict[str, Any]:
            """Moments, and each weight's place."""
            moments = super().state_dict()
            moments["state"] = {key: dict(state) for key, state in moments["state"].items()}
            places = [self.sparse_dict[tensor] for _, tensor in self.named_parameters_list]
            return {"moments": moments, "places": places, "step": self.global_step}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Take up the saved share, then its moments."""
            saved = zip(self.named_parameters_list, state_dict["places"], strict=True)
            for (_, tensor), place in saved:
                self.sparse_dict[tensor] = dict(place)
            self.mask_dict.clear()
            self.global_step = state_dict["step"]
            super().load_state_dict(state_dict["moments"])

    return ResumableShares
