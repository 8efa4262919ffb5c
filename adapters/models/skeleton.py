"""A model's modules without its weights, for questions about names and shapes."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from adapters.models.new_tokens import resized
from domain.errors import Place, fail
from domain.model_handle import ModelHandle


@lru_cache(maxsize=4)
def skeleton_of(handle: ModelHandle) -> Any:
    """The network of a handle on the meta device. Treat it as read-only: it is shared."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM

    config = AutoConfig.from_pretrained(handle.path, revision=handle.revision)
    auto = AutoModelForMultimodalLM if handle.media else AutoModelForCausalLM
    with torch.device("meta"):
        return resized(auto.from_config(config), handle.vocabulary if handle.new_tokens else 0)


def decoder_layers(network: Any) -> Any:
    """The list of decoder layers. Raises HextuneError for a network that has none such list."""
    import torch

    count = network.config.get_text_config().num_hidden_layers
    for module in network.get_decoder().modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return module
    place = Place(field="method.name")
    raise fail("rule-no-layer-list", place, architecture=type(network).__name__)


def parts_of(
    module: Any, names: tuple[str, ...], field: str, model: ModelHandle
) -> Iterator[tuple[str, Any]]:
    """(path, module) of every part with one of these last names. Raises HextuneError for others."""
    known = {path.rpartition(".")[2] for path, _ in module.named_modules() if path}
    known = {name for name in known if not name.isdigit()}
    lacking = [name for name in names if name not in known]
    if lacking:
        raise fail(
            "rule-unknown-parts",
            Place(field=field),
            names=", ".join(lacking),
            model=model.name,
            known=", ".join(sorted(known)),
        )
    for path, part in module.named_modules():
        if path.rpartition(".")[2] in names:
            yield path, part


def extra_paths(names: tuple[str, ...], model: ModelHandle) -> list[str]:
    """Paths of the parts that learn whole beside an adapter.

    An output head tied to the embeddings is one matrix with them, under their name.
    """
    network = skeleton_of(model)
    head, embeddings = network.get_output_embeddings(), network.get_input_embeddings()
    paths = dict(network.named_modules())
    return sorted(
        {
            next(at for at, module in paths.items() if module is embeddings)
            if part is head and head.weight is embeddings.weight
            else path
            for path, part in parts_of(network, names, "method.extra", model)
        }
    )


def count_weights(paths: Iterable[str], model: ModelHandle) -> int:
    """Weights of the parts at these paths."""
    network = skeleton_of(model)
    return sum(
        weight.numel() for path in paths for weight in network.get_submodule(path).parameters()
    )
