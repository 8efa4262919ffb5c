"""Continued training: the last adapter of `model.adapters` learns on, as it was made.

Kind, rank and layers are the adapter's own, so there is nothing to set; adapters before it are
merged into the base. The result takes the adapter's place.
"""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.attaching import adapter_weights
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import section

ADAPTER_BASED = True
ADDS_WEIGHTS = True

OVER_PACKED = frozenset({"LORA", "ADALORA", "IA3", "OFT", "VERA"})
"""PEFT's names of the kinds that train over packed weights."""


@section
class Options:
    """Method continued has no options: the adapter brings its own."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights of the adapter. Raises HextuneError where the model has none."""
    if not model.adapters:
        raise fail("rule-nothing-to-continue", Place(field="model.adapters"))
    return adapter_weights(_config(model), model)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """With the adapter's weights."""
    kind = _config(model).peft_type if model.adapters else "LORA"
    return Start(over_packed=kind in OVER_PACKED, continues=True)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with the adapter attached; only the adapter requires gradients."""
    from peft import PeftModel

    folder = model.adapters[-1]
    return Tuned(
        PeftModel.from_pretrained(network, folder, is_trainable=True, autocast_adapter_dtype=False)
    )


def _config(model: ModelHandle) -> Any:
    """The adapter's config, set to learn."""
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(model.adapters[-1])
    config.inference_mode = False
    return config
