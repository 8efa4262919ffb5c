"""Adapters over one network, switched by name; PEFT puts its layers into the network itself.

A network answers with the adapter asked for last until another is asked for. Every call comes from
the thread that owns the network.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

from adapters.models.attaching import adapter_kind
from domain.errors import fail
from domain.model_handle import ResolvedModel


class AdapterSwitch:
    """Turns a network into one of its adapters, or into the base under them."""

    def __init__(self, network: Any, below: Sequence[str]) -> None:
        self._network = network
        self._below = tuple(below)
        """Adapters merged into the network."""
        self._wrapped: Any = None
        """PEFT's view of the network, once there was an adapter."""
        self._known: dict[str, str] = {}
        """PEFT's name of each model's adapter; a label may hold dots, which PEFT refuses."""
        self._kind = ""
        self._numbers = count()
        self._off = ExitStack()
        self._current: str | None = None

    def add(self, model: ResolvedModel) -> None:
        """Take one more adapter. Raises HextuneError for one that cannot lie beside the others."""
        import torch
        from peft import PeftModel

        *below, folder = model.handle.adapters
        if tuple(below) != self._below:
            raise fail("serve-other-base", name=model.label, first=self._network.name_or_path)
        kind = adapter_kind(folder)
        if self._known and kind != self._kind:
            raise fail("serve-other-kind", name=model.label, kind=kind, first=self._kind)
        self._kind = kind
        self._reset()
        name = f"adapter_{next(self._numbers)}"
        with torch.inference_mode(False):
            if self._wrapped is None:
                self._wrapped = PeftModel.from_pretrained(self._network, folder, adapter_name=name)
            else:
                self._wrapped.load_adapter(folder, adapter_name=name)
        self._wrapped.eval()
        self._known[model.label] = name

    def remove(self, label: str) -> None:
        """Let an adapter go."""
        self._reset()
        self._wrapped.delete_adapter(self._known.pop(label))

    def __call__(self, label: str) -> None:
        """Answer as `label` from now on; a name without an adapter is the base."""
        if self._current == label:
            return
        self._reset()
        self._current = label
        if label in self._known:
            self._wrapped.set_adapter(self._known[label])
        elif self._known:
            self._off.enter_context(self._wrapped.disable_adapter())

    def _reset(self) -> None:
        self._off.close()
        self._current = None
