"""Muon: momentum made orthogonal for matrices, AdamW for everything else (Jordan et al. 2024).

The orthogonal step of a matrix of shape (m, n) is scaled by 0.2 sqrt(max(m, n)), so that one
learning rate does for both parts (Liu et al. 2025, "Muon is Scalable for LLM Training", eq. 4).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.optimizers import (
    Built,
    Targets,
    Weight,
    chosen_layers,
    matrix_weights,
    parameter_groups,
    split_matrices,
)
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer muon."""

    learning_rate: float = limited(2e-4, gt=0)
    """Peak learning rate, of matrices and other weights alike."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    momentum: float = limited(0.95, ge=0, lt=1)
    """Memory of a matrix's gradient."""
    iterations: int = limited(5, ge=1, lt=100)
    """Newton-Schulz iterations that make a step orthogonal."""
    targets: Targets = "all_linear"
    """Layers whose matrices Muon trains: all_linear, or names such as [q_proj, v_proj]."""


def check() -> None:
    """Nothing beyond torch is needed."""


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Nothing in particular."""
    return frozenset()


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """One momentum for each weight of a matrix, two moments for every other."""
    whole = matrix_weights(chosen_layers(options_of(Options, values).targets, model))
    return Kept(numbers=2 * trainable - min(trainable, whole))


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """torch's Muon and AdamW as one optimizer."""
    import torch

    options = options_of(Options, values)
    matrices, others = split_matrices(weights, chosen_layers(options.targets, model))
    rates = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    parts: list[Any] = []
    if matrices:
        parts.append(
            torch.optim.Muon(
                parameter_groups(matrices, **rates),
                momentum=options.momentum,
                ns_steps=options.iterations,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if others:
        parts.append(torch.optim.AdamW(parameter_groups(others, **rates)))
    return Built(_joined(parts))


def _joined(parts: Sequence[Any]) -> Any:
    """Several optimizers, each over weights of its own, as one."""
    import torch

    class Joined(torch.optim.Optimizer):  # type: ignore[misc]
        """Steps every part; the groups are the parts' own, so that a schedule moves them."""

        def __init__(self) -> None:
            super().__init__([group for part in parts for group in part.param_groups], {})

        def step(self, closure: Any = None) -> None:
            """A step of every part."""
            for part in parts:
                part.step()

        def state_dict(self) -> dict[str, Any]:
            """The states of the parts, in order."""
            return {"parts": [part.state_dict() for part in parts]}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Every part takes up its states, and with them new groups."""
            for part, saved in zip(parts, state_dict["parts"], strict=True):
                part.load_state_dict(saved)
            self.param_groups = [group for part in parts for group in part.param_groups]

    return Joined()
