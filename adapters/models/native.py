"""What conversions to native classes share: Llama's config, rotary settings, projections split.

Sources: the config classes of the published repositories and those of transformers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Source = Mapping[str, Any]
"""A config.json of remote code."""
Weights = Iterator[tuple[str, Any]]
"""Names and tensors of the native class."""

SHARED_KEYS = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "hidden_act"),
    *("num_attention_heads", "num_key_value_heads", "max_position_embeddings", "rms_norm_eps"),
    *("initializer_range", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"),
)
"""Keys that remote code in Llama's style has in common with the native config."""


class UnfitError(ValueError):
    """No native class computes what this checkpoint's code computes; says why."""


def llama_config(source: Source, **changes: Any) -> dict[str, Any]:
    """Llama's config with the keys of `source` that it knows, and `changes`."""
    kept = {key: source[key] for key in SHARED_KEYS if key in source}
    return {"model_type": "llama", "rope_parameters": rope_of(source), **kept, **changes}


def rope_of(source: Source) -> dict[str, Any]:
    """Rotary settings of a config that has `rope_theta` and `rope_scaling`."""
    scaling = source.get("rope_scaling") or {"type": "default"}
    kind = scaling.get("rope_type") or scaling["type"]
    if kind not in ("default", "linear", "dynamic"):
        raise UnfitError(f"its rope_scaling `{kind}` is computed by its own code only")
    factor = {} if kind == "default" else {"factor": float(scaling["factor"])}
    return {"rope_type": kind, "rope_theta": float(source.get("rope_theta", 10000.0)), **factor}


def split_rows(name: str, tensor: Any, into: Mapping[str, int]) -> Weights:
    """Rows of a packed projection, as many for each native name; `name` ends in weight or bias."""
    kind = name.rpartition(".")[2]
    parts = tensor.split(list(into.values()), dim=0)
    for native, part in zip(into, parts, strict=True):
        yield f"{native}.{kind}", part


def require(source: Source, **values: Any) -> None:
    """Raise UnfitError where a key is there with another value than the conversion was made for."""
    for key, value in values.items():
        if source.get(key, value) != value:
            raise UnfitError(f"its `{key}` is {source[key]}, known is {value}")
