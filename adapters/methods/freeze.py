"""Freeze-tuning: a few decoder layers learn, the rest stays frozen (Houlsby et al. 2019).

The LLaMA-Factory paper, section 3.1 and table 4, trains the last three layers.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from adapters.methods import Start, Tuned
from adapters.models.skeleton import decoder_layers, parts_of, skeleton_of
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = False
ADDS_WEIGHTS = False


@section
class Options:
    """Options of method freeze."""

    layers: int = limited(2, ge=1)
    """How many decoder layers learn."""
    which: Literal["last", "first"] = "last"
    """Whether the last layers learn or the first ones."""
    modules: tuple[str, ...] = ()
    """Only these parts of the layers, such as [mlp]; all of a layer where not set."""
    extra: tuple[str, ...] = ()
    """Further parts of the network that learn, such as [embed_tokens, norm, lm_head]."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights of the chosen layers and parts. Raises HextuneError for names the model lacks."""
    options = options_of(Options, values)
    return sum(weight.numel() for weight in _learning(options, model, skeleton_of(model)))


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """From the weights as they are."""
    return Start(over_packed=False)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with only the chosen weights requiring gradients."""
    network.requires_grad_(False)
    for weight in _learning(options_of(Options, values), model, network):
        weight.requires_grad_(True)
    return Tuned(network)


def _learning(options: Options, model: ModelHandle, network: Any) -> Iterator[Any]:
    """The weights that learn, each once."""
    layers = decoder_layers(network)
    if options.layers > len(layers):
        place = Place(field="method.layers")
        raise fail("rule-too-many-layers", place, asked=options.layers, layers=len(layers))
    chosen = layers[-options.layers :] if options.which == "last" else layers[: options.layers]
    parts = [*parts_of(chosen[0], options.modules, "method.modules", model)]
    names = {name for name, _ in parts}
    found = [
        *(module.get_submodule(name) for module in chosen for name in names),
        *(module for _, module in parts_of(network, options.extra, "method.extra", model)),
    ]
    if not options.modules:
        found += chosen
    return iter({id(weight): weight for part in found for weight in part.parameters()}.values())
