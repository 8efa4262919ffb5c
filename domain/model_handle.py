"""A model as the domain knows it: identity, shape and what hangs on it, never its weights."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.sampling import ServedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLayers:
    """All linear layers of one name and shape, such as every `q_proj` of a decoder."""

    name: str
    """Last part of the module name, which is what adapters target."""
    inputs: int
    """Input features."""
    outputs: int
    """Output features."""
    count: int
    """How many layers have this name and shape."""
    avoid: bool = False
    """Whether adapters leave them alone unless asked: a router or a gate of experts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHandle:
    """Everything planning needs to know about a model, read without its weights."""

    name: str
    """As the user named it: a folder, a hub id or builtin:NAME."""
    path: str
    """Folder the files are in."""
    revision: str | None
    """Hub revision, where one was asked for."""
    family: str
    """The config's `model_type`, such as llama."""
    architecture: str
    """The class that loads it, such as LlamaForCausalLM."""
    parameters: int
    """Weights, tied ones counted once."""
    dtype: str
    """Dtype the weights are stored in."""
    context_tokens: int
    """Longest input the position embeddings were made for, in tokens."""
    vocabulary: int
    """Rows of the embedding."""
    layers: int
    """Decoder layers."""
    hidden: int
    """Width of the residual stream."""
    heads: int
    """Attention heads."""
    linear: Sequence[LinearLayers]
    """Linear layers inside the decoder; the output head is not among them."""
    has_chat_template: bool
    """Whether there is a chat template: the tokenizer's own, or `template`."""
    template: str | None = None
    """Text of the template used instead of the tokenizer's own."""
    template_reason: str = "the tokenizer's own"
    """Which template it is, and why."""
    media: Sequence[str] = ()
    """Kinds of files it takes: image, video, audio; none for a text model."""
    language_part: str = ""
    """Module path of the language model inside a multimodal network, with a dot at its end."""
    licence: str | None = None
    """The licence, where the source names one."""
    adapters: Sequence[str] = ()
    """Folders of adapters attached, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """What a person means by RUN|MODEL: a base model, and what a run made of it."""

    label: str
    """The name it is served under: a run's id or the model's name."""
    handle: ModelHandle
    """The base model, with the run's adapter attached where there is one."""
    created_at: float
    """When the run was created, in seconds since the epoch; 0 for a model that is no run's."""

    def served(self) -> list[ServedModel]:
        """The names it answers to: the label, and the base with the adapter switched off."""
        base, adapters = self.handle.name, self.handle.adapters
        own = ServedModel(
            name=self.label,
            base=base,
            adapter=adapters[0] if adapters else None,
            created_at=self.created_at,
        )
        plain = ServedModel(name=base, base=base, adapter=None, created_at=self.created_at)
        return [own, plain] if adapters else [own]
