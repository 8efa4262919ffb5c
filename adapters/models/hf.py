"""Models of Hugging Face transformers: inspected on the meta device, loaded, merged."""

import copy
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapters.families import TemplateChoice, template_for
from adapters.models.builtin import PREFIX, builtin_folder
from adapters.models.merging import merge_and_compare
from adapters.models.rendering import HfEncoder
from domain.errors import Place, fail
from domain.model_handle import LinearLayers, ModelHandle
from domain.precision import PrecisionPolicy
from domain.run_spec import ModelSection
from ports.catalog import Catalog
from ports.encoder import ConversationEncoder
from ports.model import LoadedModel, MergeReport

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
OWN_TEMPLATE = "the tokenizer's own"
NAME_PLACE = Place(field="model.name")


@dataclass(frozen=True, slots=True)
class HfLoaded:
    """Implements ports.model.LoadedModel."""

    handle: ModelHandle
    network: Any
    """The torch module."""
    tokenizer: Any
    """The tokenizer that goes with it."""


class HfModelBackend:
    """Implements ports.model.ModelBackend."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def inspect(self, model: ModelSection) -> ModelHandle:
        """Shape from the config, counted on the meta device; no weight is read."""
        path = self._locate(model.name)
        config = _config(path, model)
        network = _skeleton(config, model.trust_remote_code)
        text = config.get_text_config()
        tokenizer = _tokenizer(path, model.revision)
        chosen = self._template(model, tokenizer, config.model_type)
        licence = None
        if model.name.startswith(PREFIX):
            name = model.name.removeprefix(PREFIX)
            licence = str(self._catalog.description("models", name)["licence"])
        return ModelHandle(
            name=model.name,
            path=path,
            revision=model.revision,
            family=config.model_type,
            architecture=type(network).__name__,
            parameters=sum(weight.numel() for weight in network.parameters()),
            dtype=str(config.dtype or "float32").removeprefix("torch."),
            context_tokens=text.max_position_embeddings,
            vocabulary=text.vocab_size,
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            heads=text.num_attention_heads,
            linear=_linear_layers(network),
            has_chat_template=chosen is not None or tokenizer.chat_template is not None,
            template=chosen.text if chosen else None,
            template_reason=f"{chosen.name}: {chosen.reason}" if chosen else OWN_TEMPLATE,
            licence=licence,
        )

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        """The tokenizer with its chat template, or with the handle's."""
        return HfEncoder(tokenizer_of(handle), own_template=handle.template is None)

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
        network = load_network(
            handle,
            dtype=precision.weights,
            quantization_config=quantization,
            attn_implementation=model.attention,
            trust_remote_code=model.trust_remote_code,
        )
        tokenizer = tokenizer_of(handle)
        return HfLoaded(handle, network, tokenizer)

    def merge(self, handle: ModelHandle, target: str, dtype: str) -> MergeReport:
        """Merged weights in safetensors under `target`, compared after reading them back."""
        tokenizer = tokenizer_of(handle)
        return merge_and_compare(handle, tokenizer, target, dtype, load_network)

    def _locate(self, name: str) -> str:
        """The folder or hub id to load from."""
        if name.startswith(PREFIX):
            return str(builtin_folder(self._catalog, name))
        folder = Path(name).expanduser()
        if (folder / "config.json").is_file():
            return str(folder)
        if folder.exists() or not HUB_ID.fullmatch(name):
            raise fail("model-missing", NAME_PLACE, name=name)
        return name


def load_network(handle: ModelHandle, *, dtype: str, **settings: Any) -> Any:
    """The causal language model of a handle, without its adapters, in `dtype`."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        handle.path, revision=handle.revision, dtype=getattr(torch, dtype), **settings
    )


def tokenizer_of(handle: ModelHandle) -> Any:
    """The model's tokenizer, carrying the handle's template where it has one."""
    tokenizer = _tokenizer(handle.path, handle.revision)
    if handle.template is not None:
        tokenizer = copy.copy(tokenizer)
        tokenizer.chat_template = handle.template
    return tokenizer


@cache
def _tokenizer(path: str, revision: str | None) -> Any:
    """The tokenizer of a folder or hub id. Raises HextuneError where it cannot be read."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, revision=revision)
    except (OSError, ValueError) as error:
        raise fail("model-unreadable", NAME_PLACE, name=path, reason=_first_line(error)) from None


def _config(path: str, model: ModelSection) -> Any:
    from transformers import AutoConfig, PreTrainedConfig

    local = Path(path).is_dir()
    try:
        raw, _ = PreTrainedConfig.get_config_dict(path, revision=model.revision)
        if _needs_remote_code(raw) and not model.trust_remote_code:
            raise fail("model-remote-code", NAME_PLACE, name=model.name)
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


def _skeleton(config: Any, trust_remote_code: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)


def _linear_layers(network: Any) -> tuple[LinearLayers, ...]:
    """Linear layers of the decoder grouped by last name and shape, found by traversal."""
    import torch

    head = network.get_output_embeddings()
    shapes = Counter(
        (name.rpartition(".")[2], module.in_features, module.out_features)
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
    return tuple(
        LinearLayers(name=name, inputs=inputs, outputs=outputs, count=count)
        for (name, inputs, outputs), count in sorted(shapes.items())
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
