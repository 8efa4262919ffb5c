"""Writing a packed checkpoint, and comparing the re-read model with the one it was made of."""

import gc
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.models.attaching import merged
from adapters.models.merging import compare_logits, logits_of, require_new
from domain.model_handle import ModelHandle
from domain.precision import BYTES
from ports.packing import PackReport


def pack_and_compare(
    handle: ModelHandle,
    tokenizer: Any,
    target: str,
    settings: Any,
    load_network: Callable[..., Any],
) -> PackReport:
    """Merge adapters in float32, pack as `settings` say, read back, compare logits in float32.

    Weights are packed as a checkpoint is loaded, so a merged model goes through a temporary one.
    Raises HextuneError where `target` holds files already.
    """
    require_new(target)
    folder = Path(target)
    with tempfile.TemporaryDirectory() as plain:
        network = merged(load_network(handle, dtype="float32"), handle.adapters).eval()
        apart = logits_of(network, tokenizer)
        network.save_pretrained(plain)
        tokenizer.save_pretrained(plain)  # GPTQ reads its calibration texts with it
        del network
        gc.collect()
        source = replace(handle, path=plain, revision=None, rope=None, new_tokens=(), adapters=())
        packed = load_network(source, dtype="bfloat16", quantization_config=settings)
        packed.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        del packed
        gc.collect()
    written = replace(source, path=target)
    reread = logits_of(load_network(written, dtype="bfloat16").eval(), tokenizer)
    same = [(a.argmax(-1) == b.argmax(-1)).tolist() for a, b in zip(apart, reread, strict=True)]
    tokens = sum(map(len, same))
    return PackReport(
        mean_kl=compare_logits(apart, reread)[1],
        agreement=sum(map(sum, same)) / tokens,
        tokens=tokens,
        size_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        plain_bytes=handle.parameters * BYTES[handle.dtype],
        folder=str(folder.absolute()),
    )
