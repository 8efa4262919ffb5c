"""Which linear layers an adapter is attached to."""

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

from adapters.models.skeleton import decoder_layers, skeleton_of
from domain.errors import HextuneError, Place, fail
from domain.model_handle import LinearLayers, ModelHandle

Targets = Literal["all_linear"] | tuple[str, ...]

WILD = set("*?[.")
"""Signs that make an entry a pattern over whole paths instead of a layer's name."""


def target_groups(
    targets: Targets, model: ModelHandle, layers: tuple[int, ...] = ()
) -> list[LinearLayers]:
    """The layers that get an adapter, grouped by name and shape; `layers` are decoder layers.

    `all_linear` leaves routers and gates of experts alone. Raises HextuneError for names and
    patterns that choose nothing, and for layers the model lacks.
    """
    if layers or _has_pattern(targets):
        shapes = Counter(
            (path.rpartition(".")[2], inputs, outputs)
            for path, inputs, outputs in _chosen(targets, model, layers)
        )
        return [
            LinearLayers(name=name, inputs=inputs, outputs=outputs, count=count)
            for (name, inputs, outputs), count in sorted(shapes.items())
        ]
    if targets == "all_linear":
        return [group for group in model.linear if not group.avoid]
    found = {group.name for group in model.linear}
    lacking = [name for name in targets if name not in found]
    if lacking:
        raise _unknown(lacking, model)
    return [group for group in model.linear if group.name in targets]


def peft_targets(
    targets: Targets, model: ModelHandle, layers: tuple[int, ...] = ()
) -> list[str] | str:
    """The target_modules of any PEFT config that choose these layers.

    A vision or audio tower has layers of the same names; they are left alone.
    """
    if layers or _has_pattern(targets):
        return sorted(path for path, _, _ in _chosen(targets, model, layers))
    names = sorted({group.name for group in target_groups(targets, model)})
    if not model.language_part:
        return names
    return rf"{re.escape(model.language_part)}.*\.({'|'.join(map(re.escape, names))})"


def _has_pattern(targets: Targets) -> bool:
    return targets != "all_linear" and any(WILD & set(entry) for entry in targets)


def _chosen(
    targets: Targets, model: ModelHandle, layers: tuple[int, ...]
) -> Iterator[tuple[str, int, int]]:
    """(path, inputs, outputs) of every layer that is chosen."""
    beyond = [number for number in layers if number >= model.layers]
    if beyond:
        place = Place(field="method.only_layers")
        shown = ", ".join(map(str, beyond))
        raise fail("rule-no-such-layer", place, layers=shown, last=model.layers - 1)
    avoided = {group.name for group in model.linear if group.avoid}
    linear = list(_linear_paths(model))
    if targets == "all_linear":
        entries = {group.name for group in model.linear} - avoided
    else:
        entries = set(targets)
    lacking = [entry for entry in sorted(entries) if not any(_fits(p, entry) for p, *_ in linear)]
    if lacking:
        raise _unknown(lacking, model)
    starts = _layer_paths(model, layers) if layers else ("",)
    for path, inputs, outputs in linear:
        if path.startswith(starts) and any(_fits(path, entry) for entry in entries):
            yield path, inputs, outputs


def _fits(path: str, entry: str) -> bool:
    """Whether an entry chooses a layer: its last name, or a pattern of its whole path."""
    if WILD & set(entry):
        return fnmatchcase(path, entry)
    return path.rpartition(".")[2] == entry


def _linear_paths(model: ModelHandle) -> Iterator[tuple[str, int, int]]:
    """Path and shape of every linear layer of the decoder."""
    import torch
    from transformers.pytorch_utils import Conv1D

    network: Any = skeleton_of(model)
    decoder = network.get_decoder()
    start = next(name for name, module in network.named_modules() if module is decoder)
    for name, module in decoder.named_modules():
        if isinstance(module, torch.nn.Linear):
            yield f"{start}.{name}", module.in_features, module.out_features
        elif isinstance(module, Conv1D):
            yield f"{start}.{name}", module.nx, module.nf


def _layer_paths(model: ModelHandle, layers: tuple[int, ...]) -> tuple[str, ...]:
    """What the paths inside some decoder layers begin with."""
    network = skeleton_of(model)
    wanted = [decoder_layers(network)[number] for number in layers]
    named = network.named_modules()
    return tuple(f"{name}." for name, module in named if any(module is one for one in wanted))


def _unknown(names: list[str], model: ModelHandle) -> HextuneError:
    return fail(
        "rule-unknown-layers",
        Place(field="method.targets"),
        names=", ".join(names),
        model=model.name,
        known=", ".join(sorted({group.name for group in model.linear})),
    )
