"""Optimizers: one file each.

A file declares

- `Options`: a section, its attribute docstrings are the documentation; `learning_rate` is among
  them;
- `check()`: raises HextuneError where its package is missing;
- `needs(values)`: what it asks of a run, a set of `Need`;
- `keeps(values, model, trainable)`: what it keeps in memory for a model of which `trainable`
  weights learn, a `Kept`. Raises HextuneError for layers the model lacks;
- `build(values, model, weights)`: the torch optimizer over the weights that learn, a `Built`. It
  keeps torch's whole contract: `param_groups` whose `lr` a schedule moves, and a `state_dict` from
  which a run resumes exactly, read back by torch's safe unpickler.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.errors import Place, fail
from domain.model_handle import LinearLayers, ModelHandle
from domain.optimizing import Need

Targets = Literal["all_linear"] | tuple[str, ...]

IN_BACKWARD = frozenset({Need.ONE_PASS, Need.UNCLIPPED, Need.UNSCALED})
"""What an optimizer asks for that takes gradients away as they arrive."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight that learns."""

    name: str
    """Its path in the network."""
    tensor: Any
    """The parameter."""
    rate: float
    """What its learning rate is multiplied by."""


@dataclass(frozen=True, slots=True)
class Built:
    """An optimizer ready for its first step."""

    optimizer: Any
    """The torch optimizer."""
    finish: Callable[[], None] | None = None
    """Puts the weights into the form to be used and saved, after the last step."""


def parameter_groups(
    weights: Iterable[Weight], *, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of weights with one learning rate and decay; biases and norms are not decayed."""
    groups: dict[tuple[float, bool], list[Any]] = {}
    for weight in weights:
        groups.setdefault((weight.rate, weight.tensor.ndim > 1), []).append(weight.tensor)
    return [
        {
            "params": tensors,
            "lr": learning_rate * rate,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (rate, decays), tensors in groups.items()
    ]


def chosen_layers(targets: Targets, model: ModelHandle) -> list[LinearLayers]:
    """The linear layers that are meant. Raises HextuneError for names the model lacks."""
    known = {group.name for group in model.linear}
    names = known if targets == "all_linear" else set(targets)
    if not names or names - known:
        raise fail(
            "rule-unknown-layers",
            Place(field="optimizer.targets"),
            model=model.name,
            names=", ".join(sorted(names - known)) or "no name",
            known=", ".join(sorted(known)),
        )
    return [group for group in model.linear if group.name in names]


def split_matrices(
    weights: Sequence[Weight], layers: Sequence[LinearLayers]
) -> tuple[list[Weight], list[Weight]]:
    """(matrices of these layers and of adapters beside them, everything else)."""
    names = {group.name for group in layers}

    def chosen(weight: Weight) -> bool:
        return weight.tensor.ndim == 2 and not names.isdisjoint(weight.name.split("."))

    found = [weight for weight in weights if chosen(weight)]
    return found, [weight for weight in weights if not chosen(weight)]


def matrix_weights(layers: Sequence[LinearLayers]) -> int:
    """Weights in the matrices of these layers."""
    return sum(group.inputs * group.outputs * group.count for group in layers)


def largest_matrix(model: ModelHandle) -> int:
    """Weights of the largest tensor: a linear layer's or the embedding's."""
    sizes = [group.inputs * group.outputs for group in model.linear]
    return max([model.vocabulary * model.hidden, *sizes])


def step_in_backward(optimizer: Any, weights: Sequence[Weight]) -> None:
    """Make the optimizer step each weight when its gradient is there, and drop the gradient.

    So the gradients of two weights never exist together (Lv et al. 2023, "Full Parameter
    Fine-tuning for Large Language Models with Limited Resources", section 3.1). Optimizers pass
    over weights without a gradient, so the trainer's own step has nothing left to do, and the
    states are those of one ordinary optimizer.
    """

    def step(tensor: Any) -> None:
        optimizer.step()
        tensor.grad = None

    for weight in weights:
        weight.tensor.register_post_accumulate_grad_hook(step)
