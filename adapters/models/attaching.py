"""Adapters in folders: whether they fit a model, putting them on it, and merging them into it.

Where several are on one model, each was trained over the model with those before it merged in.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.models.skeleton import skeleton_of
from domain.errors import HextuneError, Place, fail
from domain.model_handle import ModelHandle

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PLACE = Place(field="model.adapters")
ADAPTER = "default"
"""PEFT's name for the first adapter."""


def attached(network: Any, folders: Sequence[str]) -> Any:
    """The network with all but the last adapter merged in and the last one attached."""
    from peft import PeftModel

    *before, last = folders
    return PeftModel.from_pretrained(merged(network, before), last)


def merged(network: Any, folders: Sequence[str]) -> Any:
    """The network with these adapters merged into its weights, one after another."""
    from peft import PeftModel

    for folder in folders:
        network = PeftModel.from_pretrained(network, folder).merge_and_unload()
    return network


def foreign_adapters(model: ModelHandle) -> tuple[str, ...]:
    """The model's adapters that say they were trained over one of another name."""
    bases = {folder: _config(folder).get("base_model_name_or_path") for folder in model.adapters}
    return tuple(
        f"{folder} ({base})"
        for folder, base in bases.items()
        if base and Path(base).name not in (Path(model.path).name, Path(model.name).name)
    )


def check_adapter(folder: str, model: ModelHandle) -> None:
    """Raises HextuneError where `folder` holds no adapter, or one for a model of other shape."""
    from safetensors import SafetensorError

    if not ((Path(folder) / CONFIG).is_file() and (Path(folder) / WEIGHTS).is_file()):
        raise fail("adapter-missing", PLACE, name=folder)
    try:
        there, fitting = _stored_shapes(folder), _fitting_shapes(folder, model)
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise _unfit(folder, model, str(error).partition("\n")[0]) from None
    for name in sorted(there.keys() | fitting.keys()):
        if there.get(name) != fitting.get(name):
            reason = f"{name} is {there.get(name)} there, and {fitting.get(name)} would fit"
            raise _unfit(folder, model, reason)


def adapter_weights(config: Any, model: ModelHandle) -> int:
    """Weights that learn in an adapter of this PEFT config on this model."""
    from peft import get_peft_model

    network = get_peft_model(copy.deepcopy(skeleton_of(model)), config, low_cpu_mem_usage=True)
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def adapter_kind(folder: str) -> str:
    """PEFT's name for the kind of the adapter in a folder, such as LORA."""
    return str(_config(folder)["peft_type"])


def _unfit(folder: str, model: ModelHandle, reason: str) -> HextuneError:
    return fail("adapter-unfit", PLACE, folder=folder, model=model.name, reason=reason)


def _config(folder: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
    return loaded


def _stored_shapes(folder: str) -> dict[str, list[int]]:
    from safetensors import safe_open

    with safe_open(Path(folder) / WEIGHTS, framework="pt") as file:
        names = file.keys()
        return {name: list(file.get_slice(name).get_shape()) for name in names}


def _fitting_shapes(folder: str, model: ModelHandle) -> dict[str, list[int]]:
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict

    config = PeftConfig.from_pretrained(folder)
    if config.is_prompt_learning:
        raise ValueError("it learned a prompt, which no weights can take up")
    network = get_peft_model(copy.deepcopy(skeleton_of(model)), config, low_cpu_mem_usage=True)
    # PEFT saves the rows beside an adapter where their number has changed
    state = get_peft_model_state_dict(network, save_embedding_layers=bool(model.new_tokens))
    return {name: list(tensor.shape) for name, tensor in state.items()}
