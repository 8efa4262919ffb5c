"""Merging an adapter into its base, and comparing the merged, re-read model with both apart.

Shapes: T tokens of one prompt, V vocabulary.
"""

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.models.attaching import attached
from domain.errors import fail
from domain.model_handle import ModelHandle
from ports.model import MergeReport

PROMPTS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Count from one to five.",
    "def add(a, b):\n    return",
)
"""Fixed prompts whose logits are compared."""


def merge_and_compare(
    handle: ModelHandle,
    tokenizer: Any,
    target: str,
    dtype: str,
    load_network: Callable[..., Any],
) -> MergeReport:
    """Merge in float32, store in `dtype`, read back, and compare logits in float32.

    Reads the base in float32 also where training had packed it: merging into packed weights loses
    precision. Raises HextuneError where `target` holds files already.
    """
    import torch

    require_new(target)
    folder = Path(target)
    network = attached(load_network(handle, dtype="float32"), handle.adapters).eval()
    apart = logits_of(network, tokenizer)
    network = network.merge_and_unload().to(getattr(torch, dtype))
    network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    del network
    gc.collect()
    # what is written has to hold scaling and new tokens of its own
    written = replace(handle, path=target, revision=None, rope=None, new_tokens=())
    reread = load_network(written, dtype="float32").eval()
    difference, mean_kl = compare_logits(apart, logits_of(reread, tokenizer))
    return MergeReport(
        max_difference=difference,
        mean_kl=mean_kl,
        tokens=sum(len(logits_TV) for logits_TV in apart),
        dtype=dtype,
        folder=str(folder.absolute()),
    )


def require_new(target: str) -> None:
    """Raise HextuneError where `target` is no folder that is empty or still to be made."""
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise fail("file-exists", path=target)


def compare_logits(first: list[Any], second: list[Any]) -> tuple[float, float]:
    """(largest absolute difference of a logit, mean over tokens of KL(first || second) in nats)."""
    import torch

    # In float64, as the KL of nearly equal distributions drowns in float32 rounding.
    a_TV, b_TV = torch.cat(first).double(), torch.cat(second).double()
    kl_T = torch.nn.functional.kl_div(
        b_TV.log_softmax(-1), a_TV.log_softmax(-1), reduction="none", log_target=True
    ).sum(-1)
    return float((a_TV - b_TV).abs().max()), float(kl_T.mean())


def logits_of(network: Any, tokenizer: Any) -> list[Any]:
    """float32 logits of shape (T, V) for each fixed prompt."""
    import torch

    found = []
    with torch.inference_mode():
        for prompt in PROMPTS:
            ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
            found.append(network(input_ids=ids).logits[0].float())
    return found
