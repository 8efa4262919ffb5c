"""Checkpoints of remote code rewritten for transformers' own classes, one file at a time.

The code of a checkpoint is never imported. What was written is read back on the meta device: every
weight of the native class is there, with its shape, and nothing else is. config.json comes last, so
that a folder that was cut off is no model.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.families import successor_of
from adapters.models.checkpoints import ShardWriter, read_tensors, weight_files
from adapters.models.native import UnfitError
from domain.errors import HextuneError, Place, fail
from ports.catalog import Catalog
from ports.conversion import ConversionReport

SHARD_BYTES = 4 * 1000**3
"""Weights that are in memory at once, and the size of a file."""
CARRIED = ("generation_config.json", "special_tokens_map.json", "added_tokens.json")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "*.jinja")
KEPT_PATTERNS = (*CARRIED, *TOKENIZERS, "*.tiktoken", "LICENSE*", "*icense*.pdf", "NOTICE*")
"""Files copied as they are; code and README stay behind."""


class HfModelConverter:
    """Implements ports.conversion.ModelConverter."""

    def __init__(self, catalog: Catalog, shard_bytes: int = SHARD_BYTES) -> None:
        self._catalog, self._shard_bytes = catalog, shard_bytes

    def convert(self, source: str, target: str) -> ConversionReport:
        """The checkpoint in the folder `source`, for its native class, in `target`."""
        folder, written = Path(source).expanduser(), Path(target).expanduser()
        raw = _raw_config(folder, source)
        values = native_values(self._catalog, source, raw)
        if written.exists() and (not written.is_dir() or any(written.iterdir())):
            raise fail("file-exists", path=target)
        written.mkdir(parents=True, exist_ok=True)
        part = self._catalog.part("conversions", raw["model_type"])
        writer = ShardWriter(written, self._shard_bytes)
        for file in weight_files(folder):
            for name, tensor in read_tensors(file):
                for native, made in part.native_weights(name, tensor, raw):
                    writer.add(native, made)
        shards = writer.finish()
        config, architecture = _checked(written, values | {"dtype": writer.dtype})
        tokenizer = _carry_tokenizer(folder, written, part.TOKENIZER)
        config.save_pretrained(written)
        return ConversionReport(
            source_type=raw["model_type"],
            architecture=architecture,
            tensors=sum(map(len, shards)),
            size_bytes=writer.size_bytes,
            shards=len(shards),
            tokenizer=tokenizer,
            context_tokens=config.max_position_embeddings,
            folder=str(written.absolute()),
        )


def native_values(catalog: Catalog, name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The native config of a checkpoint. Raises HextuneError where it is native, or fits none."""
    kind = raw.get("model_type", "")
    if kind not in catalog.names("conversions"):
        raise _no_conversion(catalog, name, kind)
    try:
        if "quantization_config" in raw:
            raise UnfitError("its weights are packed; convert the unquantized checkpoint")
        values: dict[str, Any] = catalog.part("conversions", kind).native_config(raw)
    except UnfitError as unfit:
        raise _unfit(catalog, name, kind, str(unfit)) from None
    except KeyError as lacking:
        reason = f"config.json lacks {lacking}"
        raise fail("model-unreadable", name=name, reason=reason) from None
    return values


def _no_conversion(catalog: Catalog, name: str, kind: str) -> HextuneError:
    from transformers import CONFIG_MAPPING

    if kind in CONFIG_MAPPING:
        return fail("convert-native", name=name, model_type=kind)
    known = ", ".join(catalog.names("conversions"))
    return _unfit(catalog, name, kind, f"conversions are known for {known}")


def _unfit(catalog: Catalog, name: str, kind: str, reason: str) -> HextuneError:
    successor = successor_of(catalog, model_name=name, model_type=kind)
    instead = (
        f"`{successor}`, the native successor"
        if successor
        else "a model of another family, as no native successor is known"
    )
    return fail("convert-unfit", name=name, model_type=kind, reason=reason, instead=instead)


def _raw_config(folder: Path, name: str) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise fail("convert-source", name=name) from None
    except ValueError as error:
        raise fail("model-unreadable", name=name, reason=str(error)) from None
    return raw


def _checked(written: Path, values: dict[str, Any]) -> tuple[Any, str]:
    """The native config and class. Raises HextuneError where weights are missing or do not fit."""
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    kind = values.pop("model_type")
    config = AutoConfig.for_model(kind, **values)
    network, found = AutoModelForCausalLM.from_pretrained(
        written,
        config=config,
        generation_config=GenerationConfig(),
        device_map="meta",
        output_loading_info=True,
    )
    wrong = sorted(
        {str(each) for key in ("missing_keys", "unexpected_keys") for each in found[key]}
        | {str(each[0]) for each in found["mismatched_keys"]}
    )
    architecture = type(network).__name__
    if wrong:
        shown = ", ".join(wrong[:3])
        raise fail("convert-incomplete", architecture=architecture, count=len(wrong), names=shown)
    config.architectures = [architecture]
    return config, architecture


def _carry_tokenizer(folder: Path, written: Path, class_of_model: str | None) -> str | None:
    """Copy tokenizer, generation config and licence; the class that reads the tokenizer now."""
    for pattern in KEPT_PATTERNS:
        for file in folder.glob(pattern):
            shutil.copyfile(file, written / file.name)
    reader = None
    if (folder / "tokenizer.json").is_file():
        reader = "PreTrainedTokenizerFast"
    elif (folder / "tokenizer.model").is_file():
        reader = class_of_model
    settings = folder / "tokenizer_config.json"
    kept = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    kept.pop("auto_map", None)
    if reader is not None:
        text = json.dumps(kept | {"tokenizer_class": reader}, indent=2, ensure_ascii=False)
        (written / settings.name).write_text(text + "\n", encoding="utf-8")
    return reader


def remote_code_error(
    catalog: Catalog, name: str, raw: Mapping[str, Any], place: Place
) -> HextuneError:
    """What to do about a model that its own code would load: convert, take another, or allow it."""
    kind = raw.get("model_type", "")
    if kind in catalog.names("conversions"):
        try:
            native_values(catalog, name, raw)
        except HextuneError as unfit:
            return unfit
        return fail("model-convertible", place, name=name, model_type=kind)
    successor = successor_of(catalog, model_name=name, model_type=kind)
    if successor is not None:
        return fail("model-remote-successor", place, name=name, successor=successor)
    return fail("model-remote-code", place, name=name)
