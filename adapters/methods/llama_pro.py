"""LLaMA-Pro: new decoder layers that begin as identity, and only they learn (Wu et al. 2024).

After every group of layers a copy of its last layer is put in, its output projections set to
zero: the residual stream passes through unchanged. The result is a whole model of more layers.
"""

import copy
from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.skeleton import decoder_layers, skeleton_of
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = False
ADDS_WEIGHTS = True

OUTPUTS = ("o_proj", "down_proj", "out_proj", "c_proj", "fc2", "w2", "dense", "dense_4h_to_h")
"""Names of the linear layers that write to the residual stream, across families."""


@section
class Options:
    """Options of method llama_pro."""

    new_layers: int = limited(2, ge=1)
    """How many layers are put in, evenly; the model's layers must be a multiple of it."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights of the new layers. Raises HextuneError where they cannot be spread evenly."""
    options = options_of(Options, values)
    _group(options, model)
    layers = decoder_layers(skeleton_of(model))
    size = len(layers) // options.new_layers
    sources = layers[size - 1 :: size]
    return sum(weight.numel() for layer in sources for weight in layer.parameters())


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """The new layers change nothing before they learn, but there is no base without them."""
    return Start(over_packed=False, changes_base=True)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """The network with its new layers, which alone require gradients."""
    import torch

    options = options_of(Options, values)
    layers = decoder_layers(network)
    size = _group(options, model)
    probe_1T = torch.arange(8, device=network.device)[None]
    before = _logits(network, probe_1T)
    network.requires_grad_(False)
    for place in range(len(layers), 0, -size):
        layers.insert(place, _identity(layers[place - 1]))
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if "layer_idx" in vars(module):
                module.layer_idx = number
    config = network.config.get_text_config()
    config.num_hidden_layers = len(layers)
    if "layer_types" in vars(config) and config.layer_types:
        kinds = config.layer_types
        config.layer_types = [
            kind
            for start in range(0, len(kinds), size)
            for kind in (*kinds[start : start + size], kinds[start + size - 1])
        ]
    if not torch.equal(before, _logits(network, probe_1T)):
        raise fail("rule-no-identity-layers", architecture=type(network).__name__)
    return Tuned(network)


def _identity(layer: Any) -> Any:
    """A copy of a layer that passes the residual stream on unchanged; all of it learns."""
    import torch

    added = copy.deepcopy(layer)
    for name, module in added.named_modules():
        if name.rpartition(".")[2] in OUTPUTS:
            for weight in module.parameters(recurse=False):
                torch.nn.init.zeros_(weight)
    return added.requires_grad_(True)


def _group(options: Options, model: ModelHandle) -> int:
    """Layers between one new layer and the next."""
    if model.layers % options.new_layers:
        place = Place(field="method.new_layers")
        fits = [n for n in range(1, model.layers + 1) if model.layers % n == 0]
        shown = ", ".join(map(str, fits))
        raise fail("rule-uneven-layers", place, layers=model.layers, fits=shown)
    return model.layers // options.new_layers


def _logits(network: Any, ids: Any) -> Any:
    import torch

    with torch.inference_mode():
        return network(input_ids=ids, use_cache=False).logits
