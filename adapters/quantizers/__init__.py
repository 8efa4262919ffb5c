"""Quantizers: one file each, named as checkpoints name the format.

A file declares `Options` and `Backend`, a `ports.quant.QuantBackend`. One that recognises
checkpoints packed before also declares `bytes_of(settings)`: bytes of one packed weight, its scales
included, by the `quantization_config` that transformers keeps in a checkpoint's config.json. One
that writes them declares `Packer`, a `ports.quant.CheckpointPacker`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import Place, fail
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ModelHandle, PackedWeights
from ports.catalog import Catalog
from ports.packing import CheckpointPacker
from ports.quant import QuantBackend

WITH = Place(field="--with")
READS_CHECKPOINTS = ("aqlm", "awq", "bitsandbytes", "gptq")
"""Quantizers over whose packed checkpoints adapters can be trained."""

WRITES_CHECKPOINTS = ("bitsandbytes", "gptq")
"""Quantizers that write packed checkpoints."""


def load_quantizer(catalog: Catalog, name: str) -> QuantBackend:
    """The backend called `name`. Raises HextuneError for an unknown name."""
    backend: QuantBackend = catalog.part("quantizers", name).Backend()
    return backend


def load_packer(catalog: Catalog, name: str) -> CheckpointPacker:
    """The packer called `name`. Raises HextuneError for an unknown name, or one that only reads."""
    module = catalog.part("quantizers", name)
    if name not in WRITES_CHECKPOINTS:
        writers = ", ".join(WRITES_CHECKPOINTS)
        raise fail("quantizer-only-reads", WITH, quantizer=name, writers=writers)
    packer: CheckpointPacker = module.Packer()
    return packer


def check_bits(name: str, bits: int, known: Sequence[int]) -> None:
    """Raise HextuneError where a format has no weights of so many bits."""
    if bits not in known:
        shown = ", ".join(map(str, known))
        raise fail("quantizer-bits", Place(field="--bits"), quantizer=name, bits=bits, known=shown)


def packed_weights(catalog: Catalog, settings: Mapping[str, Any] | None) -> PackedWeights | None:
    """How a checkpoint with this `quantization_config` is packed; None without one."""
    if settings is None:
        return None
    by = str(settings["quant_method"])
    if by not in READS_CHECKPOINTS:
        return PackedWeights(by=by, bytes_per_weight=None)
    found: float = catalog.part("quantizers", by).bytes_of(settings)
    return PackedWeights(by=by, bytes_per_weight=found)


def bytes_packed_by(name: str, model: ModelHandle) -> float:
    """Bytes of one weight of a checkpoint. Raises HextuneError for one this has not packed."""
    packed = model.packed
    if packed is None or packed.by != name or packed.bytes_per_weight is None:
        place = Place(field="quantization.name")
        raise fail("quantizer-checkpoint", place, quantizer=name, model=model.name)
    return packed.bytes_per_weight


def require_gpu(name: str, hardware: Hardware) -> None:
    """Raise HextuneError where there is no NVIDIA GPU."""
    if hardware.kind is not DeviceKind.CUDA:
        raise fail(
            "quantizer-device",
            Place(field="quantization.name"),
            quantizer=name,
            needs="an NVIDIA GPU",
            device=hardware.name,
        )


def rows_per_weight(model: ModelHandle) -> float:
    """Output rows of the linear layers, for each of their weights."""
    rows = sum(group.outputs * group.count for group in model.linear)
    return rows / sum(group.inputs * group.outputs * group.count for group in model.linear)


def grouped_bytes(bits: float, group_size: int, *, scale_bytes: float) -> float:
    """Bytes of one weight of `bits` bits with `scale_bytes` for each group; -1 is a whole row."""
    return bits / 8 + (scale_bytes / group_size if group_size > 0 else 0.0)
