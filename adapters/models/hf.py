"""Models of Hugging Face transformers: inspected on the meta device, loaded, merged."""

import copy
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from adapters.families import TemplateChoice, avoided_layers, template_for
from adapters.models.attaching import check_adapter
from adapters.models.attention_kernels import implementation, kernels_of
from adapters.models.builtin import PREFIX, builtin_folder, cache_folder
from adapters.models.converting import remote_code_error
from adapters.models.experts import expert_count, gives_router_loss, taken_for_experts
from adapters.models.gguf_files import SUFFIX, gguf_folder
from adapters.models.merging import merge_and_compare
from adapters.models.multimodal import MultimodalEncoder, chat_tokenizer
from adapters.models.new_tokens import grow, resized, token_parts, with_tokens
from adapters.models.packed_training import make_ready
from adapters.models.packing import pack_and_compare
from adapters.models.processors import load_processor, media_kinds
from adapters.models.rendering import HfEncoder
from adapters.models.rope import rope_type, scaled_config, stretched_context
from adapters.models.unsloth_loading import load_unsloth
from adapters.quantizers import packed_weights
from domain.errors import Place, fail
from domain.media import MediaKind
from domain.model_handle import LinearLayers, ModelHandle
from domain.precision import PrecisionPolicy
from domain.run_spec import ModelSection
from ports.catalog import Catalog
from ports.encoder import ConversationEncoder
from ports.model import LoadedModel, MergeReport
from ports.packing import PackReport

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
OWN_TEMPLATE = "the tokenizer's own"
NAME_PLACE = Place(field="model.name")
ALIBI_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class HfLoaded:
    """Implements ports.model.LoadedModel."""

    handle: ModelHandle
    network: Any
    """The torch module."""
    tokenizer: Any
    """The tokenizer that goes with it."""
    processor: Any = None
    """What a multimodal model makes inputs of files with, its tokenizer included."""


class HfModelBackend:
    """Implements ports.model.ModelBackend."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def inspect(self, model: ModelSection) -> ModelHandle:
        """Shape from the config, counted on the meta device; no weight is read."""
        path = self._locate(model.name)
        config = _config(self._catalog, path, model)
        kinds = media_kinds(config)
        network = _skeleton(config, model.trust_remote_code, multimodal=bool(kinds))
        tokenizer = (
            chat_tokenizer(load_processor(path, model.revision))
            if kinds
            else _tokenizer(path, model.revision)
        )
        tokens = tuple(sorted(model.new_tokens.items()))  # a recorded spec has no order of keys
        if tokens:
            resized(network, len(with_tokens(tokenizer, tokens)))
        text = network.config.get_text_config()
        chosen = self._template(model, tokenizer, config.model_type)
        licence = None
        if model.name.startswith(PREFIX):
            name = model.name.removeprefix(PREFIX)
            licence = str(self._catalog.description("models", name)["licence"])
        handle = ModelHandle(
            name=model.name,
            path=path,
            revision=model.revision,
            family=config.model_type,
            architecture=type(network).__name__,
            parameters=sum(weight.numel() for weight in network.parameters()),
            dtype=str(config.dtype or "float32").removeprefix("torch."),
            context_tokens=_context_tokens(text),
            vocabulary=text.vocab_size,
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            heads=text.num_attention_heads,
            linear=_linear_layers(
                network,
                avoided_layers(self._catalog, config.model_type),
                _language_part(network) if kinds else "",
            ),
            has_chat_template=chosen is not None or tokenizer.chat_template is not None,
            template=chosen.text if chosen else None,
            template_reason=f"{chosen.name}: {chosen.reason}" if chosen else OWN_TEMPLATE,
            media=tuple(kind.value for kind in kinds),
            language_part=_language_part(network) if kinds else "",
            packed=packed_weights(self._catalog, config.to_dict().get("quantization_config")),
            licence=licence,
            attention=kernels_of(network),
            experts=expert_count(text),
            router_loss=gives_router_loss(network),
            rope_type=rope_type(network),
            new_tokens=tokens,
            token_parts=token_parts(network),
        ).stretched(model.rope, None)
        for folder in model.adapters:
            check_adapter(folder, handle)
        return replace(handle, adapters=model.adapters)

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        """The tokenizer with its chat template, or with the handle's."""
        own = handle.template is None
        if handle.media:
            kinds = [MediaKind(kind) for kind in handle.media]
            return MultimodalEncoder(processor_of(handle), kinds, own_template=own)
        return HfEncoder(tokenizer_of(handle), own_template=own)

    def _template(self, model: ModelSection, tokenizer: Any, family: str) -> TemplateChoice | None:
        """The template used instead of the tokenizer's own: as asked, or the family's for none."""
        if model.template is not None:
            file = Path(model.template)
            if file.suffix == ".jinja" and file.is_file():
                text = file.read_text(encoding="utf-8")
            else:
                text = str(self._catalog.description("templates", model.template)["text"])
            return TemplateChoice(model.template, text, "set in the spec")
        if tokenizer.chat_template is not None:
            return None
        return template_for(self._catalog, model_name=model.name, model_type=family)

    def load(
        self, model: ModelSection, precision: PrecisionPolicy, quantization: object | None
    ) -> LoadedModel:
        """The network with its weights in `precision.weights`, or packed by `quantization`."""
        handle = self.inspect(model)
        settings: dict[str, Any] = {"trust_remote_code": model.trust_remote_code}
        if quantization is not None:  # None given would hide what a packed checkpoint says
            settings["quantization_config"] = quantization
        if model.kernels == "unsloth":
            network = load_unsloth(handle, dtype=precision.weights, **settings)
        else:
            settings["attn_implementation"] = implementation(model.attention, model.s2_group)
            network = load_network(handle, dtype=precision.weights, **settings)
        if quantization is not None or handle.packed is not None:
            make_ready(network)
        if handle.media:
            processor = processor_of(handle)
            return HfLoaded(handle, network, processor.tokenizer, processor)
        return HfLoaded(handle, network, tokenizer_of(handle))

    def merge(self, handle: ModelHandle, target: str, dtype: str) -> MergeReport:
        """Merged weights in safetensors under `target`, compared after reading them back."""
        if handle.packed is not None:
            raise fail("merge-packed", name=handle.name, by=handle.packed.by)
        report = merge_and_compare(handle, tokenizer_of(handle), target, dtype, load_network)
        if handle.media:
            processor_of(handle).save_pretrained(target)
        return report

    def pack(self, handle: ModelHandle, target: str, settings: object) -> PackReport:
        """Packed weights under `target`, compared after reading them back."""
        if handle.packed is not None:
            raise fail("quantizer-packed-already", name=handle.name, by=handle.packed.by)
        return pack_and_compare(handle, tokenizer_of(handle), target, settings, load_network)

    def _locate(self, name: str) -> str:
        """The folder or hub id to load from."""
        if name.startswith(PREFIX):
            return str(builtin_folder(self._catalog, name))
        if name.endswith(SUFFIX):
            return str(gguf_folder(cache_folder(), name))
        folder = Path(name).expanduser()
        if (folder / "config.json").is_file():
            return str(folder)
        if folder.exists() or not HUB_ID.fullmatch(name):
            raise fail("model-missing", NAME_PLACE, name=name)
        return name


def load_network(handle: ModelHandle, *, dtype: str, **settings: Any) -> Any:
    """The language model of a handle, without its adapters, in `dtype`."""
    import torch
    from transformers import PreTrainedModel

    if handle.rope is not None:
        trusted = settings.get("trust_remote_code", False)
        settings["config"] = scaled_config(handle, handle.rope, trusted)
    network = _auto_class(bool(handle.media)).from_pretrained(
        handle.path, revision=handle.revision, dtype=getattr(torch, dtype), **settings
    )
    if network.base_model is network:  # Llama4ForCausalLM names a body that it does not have
        network.base_model_prefix = next(
            name for name, part in network.named_children() if isinstance(part, PreTrainedModel)
        )
    return grow(network, tokenizer_of(handle), handle) if handle.new_tokens else network


def tokenizer_of(handle: ModelHandle) -> Any:
    """The model's tokenizer, carrying the handle's template where it has one."""
    if handle.media:
        return chat_tokenizer(processor_of(handle))
    tokenizer = with_tokens(_tokenizer(handle.path, handle.revision), handle.new_tokens)
    if handle.template is not None:
        tokenizer = copy.copy(tokenizer)
        tokenizer.chat_template = handle.template
    return tokenizer


def processor_of(handle: ModelHandle) -> Any:
    """A multimodal model's processor, carrying the handle's template where it has one."""
    processor = copy.copy(load_processor(handle.path, handle.revision))
    own = processor.chat_template or processor.tokenizer.chat_template
    processor.chat_template = handle.template or own
    processor.tokenizer = with_tokens(processor.tokenizer, handle.new_tokens)
    return processor


def _auto_class(multimodal: bool) -> Any:
    """The class that loads models with a language model's head."""
    from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM

    return AutoModelForMultimodalLM if multimodal else AutoModelForCausalLM


@cache
def _tokenizer(path: str, revision: str | None) -> Any:
    """The tokenizer of a folder or hub id. Raises HextuneError where it cannot be read."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, revision=revision)
    except (OSError, ValueError) as error:
        raise fail("model-unreadable", NAME_PLACE, name=path, reason=_first_line(error)) from None


def _config(catalog: Catalog, path: str, model: ModelSection) -> Any:
    from transformers import AutoConfig, PreTrainedConfig

    local = Path(path).is_dir()
    try:
        raw, _ = PreTrainedConfig.get_config_dict(path, revision=model.revision)
        if _needs_remote_code(raw) and not model.trust_remote_code:
            raise remote_code_error(catalog, model.name, raw, NAME_PLACE)
        return AutoConfig.from_pretrained(
            path, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except (OSError, ValueError) as error:
        code = "model-unreadable" if local else "model-not-fetched"
        raise fail(code, NAME_PLACE, name=model.name, reason=_first_line(error)) from None


def _needs_remote_code(raw: dict[str, Any]) -> bool:
    """Whether only code of the model's own repository can load it."""
    from transformers import CONFIG_MAPPING

    return "auto_map" in raw and raw.get("model_type") not in CONFIG_MAPPING


def _skeleton(config: Any, trust_remote_code: bool, *, multimodal: bool) -> Any:
    import torch

    with torch.device("meta"):
        return _auto_class(multimodal).from_config(config, trust_remote_code=trust_remote_code)


def _language_part(network: Any) -> str:
    """Module path of the language model, with a dot at its end."""
    decoder = network.get_decoder()
    return next(f"{name}." for name, module in network.named_modules() if module is decoder)


def _context_tokens(text: Any) -> int:
    """The longest input; ALiBi sets none, so BLOOM's is the length it was trained with."""
    values = text.to_dict()
    name = text.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    return stretched_context(text, int(values.get(name) or values.get("seq_length", ALIBI_TOKENS)))


def _linear_layers(network: Any, avoided: Collection[str], part: str) -> tuple[LinearLayers, ...]:
    """Linear layers of a part of the network by last name and shape, found by traversal."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = network.get_output_embeddings()
    shapes = Counter(
        (name.rpartition(".")[2], *_features(module))
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and module is not head
        and name.startswith(part)
    )
    fused = taken_for_experts(network, {name for name, _, _ in shapes})
    return tuple(
        LinearLayers(
            name=name,
            inputs=inputs,
            outputs=outputs,
            count=count,
            avoid=name in avoided or name in fused,
            fused=name in fused,
        )
        for (name, inputs, outputs), count in sorted(shapes.items())
    )


def _features(module: Any) -> tuple[int, int]:
    """Inputs and outputs; GPT-2's Conv1D is a linear layer with its weight transposed."""
    import torch

    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    return module.nx, module.nf


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
