"""A model as the domain knows it: identity, shape and what hangs on it, never its weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.attention import KERNELS
from domain.rope import PLAIN, RopeScaling, RopeSection, needed_factor
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
    fused: bool = False
    """Whether LoRA cannot have them: PEFT takes their name for the experts' fused weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedWeights:
    """How the linear layers of a checkpoint are packed already."""

    by: str
    """The quantizer that packed them, as the checkpoint names it."""
    bytes_per_weight: float | None
    """Bytes of one packed weight, its scales included; None for a format not known here."""


NewTokens = Sequence[tuple[str, str | None]]
"""Each new token, and words that describe it."""


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
    packed: PackedWeights | None = None
    """How its weights are packed already; None for plain ones."""
    licence: str | None = None
    """The licence, where the source names one."""
    adapters: Sequence[str] = ()
    """Folders of adapters on it, each trained over the model with those before it merged in."""
    attention: Sequence[str] = KERNELS
    """Attention kernels its layers can call, by our names."""
    experts: int = 0
    """Experts in a layer whose tokens a router shares out; none in a dense model."""
    router_loss: bool = False
    """Whether the loss that spreads tokens evenly over experts can be computed."""
    rope_type: str | None = None
    """Type of its rotary embeddings as stored; None where it has none that can be scaled."""
    rope: RopeScaling | None = None
    """How its rotary embeddings are stretched when it is loaded; `context_tokens` counts it."""

    new_tokens: NewTokens = ()
    """Tokens it learns on top of its tokenizer's; `vocabulary` and `parameters` count them."""
    token_parts: Sequence[str] = ()
    """Last names of the parts with a row for each token: the embeddings, and a head of its own."""

    def stretched(self, asked: RopeSection | None, longest_tokens: int | None) -> "ModelHandle":
        """The model with what was asked, for inputs so long; the same where a rule refuses it."""
        if asked is None or self.rope is not None or self.rope_type != PLAIN:
            return self
        factor = asked.factor or needed_factor(longest_tokens, self.context_tokens)
        if factor <= 1:
            return self
        rope = RopeScaling(type=asked.type, factor=factor, original_tokens=self.context_tokens)
        return replace(self, rope=rope, context_tokens=rope.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """What a person means by RUN|MODEL: a base model, and what a run made of it."""

    label: str
    """The name it is served under: a run's id or the model's name."""
    handle: ModelHandle
    """The base model, with the run's adapter attached where there is one."""
    created_at: float
    """When the run was created, in seconds since the epoch; 0 for a model that is no run's."""
    siblings: Sequence["ResolvedModel"] = ()
    """Runs whose adapters lie over the same weights, to be switched to by name."""

    def served(self) -> list[ServedModel]:
        """The names it answers to: the labels, and the base with every adapter switched off.

        Where adapters are merged in underneath, the base is not there any more.
        """
        base = self.handle.name
        named = [
            ServedModel(
                name=each.label,
                base=base,
                adapter=each.handle.adapters[-1] if each.handle.adapters else None,
                created_at=each.created_at,
            )
            for each in (self, *self.siblings)
        ]
        plain = ServedModel(name=base, base=base, adapter=None, created_at=self.created_at)
        return [*named, plain] if len(self.handle.adapters) == 1 else named
