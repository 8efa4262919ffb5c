"""RunSpec: all a user asks for, in one frozen value with a content hash.

Sections whose content depends on a name (`method`, `stage`, ...) are a `Choice`: the options are
declared in the file of that name and filled in with their defaults before they get here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from domain.attention import AttentionName
from domain.dataset import DatasetKind, DataSource
from domain.fingerprint import Json, fingerprint
from domain.kernels import KernelsName
from domain.media import MediaLoading
from domain.parallelism import ParallelismSection
from domain.precision import PrecisionSection
from domain.rope import RopeSection
from domain.section import built, limited, parts, section
from domain.tracking import SamplesSection, StoppingSection

DEFAULT_MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """A named part and its options, all of them filled in."""

    name: str
    options: Mapping[str, Json]


@section
class ModelSection:
    """The model to start from."""

    name: str
    """A local folder, a .gguf file, a hub id, or builtin:NAME, as builtin:smollm2-135m-instruct."""
    revision: str | None = None
    """Hub revision: a branch, tag or commit."""
    trust_remote_code: bool = False
    """Run Python code from the model's repository. Read it first."""
    template: str | None = None
    """Chat template: a name of `tune list templates` or a .jinja file; the tokenizer's own where
    not set, or the model family's where it has none. It is saved with the result."""
    adapters: tuple[str, ...] = ()
    """Adapters to put on the model, in this order: runs or folders. All are merged into its weights
    before anything learns; with method continued, the last one learns on instead. A run brings the
    adapters it was trained over."""
    new_tokens: Mapping[str, str | None] = built(dict)
    """Tokens to add, each with words that describe it, or null: their rows start at the mean of the
    words' rows, or of all, plus noise. They learn with method full, or lora and method.extra."""
    rope: RopeSection | None = None
    """Stretch the rotary position embeddings for longer inputs; it is saved with the result."""
    neftune_alpha: float | None = limited(None, gt=0)
    """NEFTune: noise on the embeddings while training, such as 5; none where not set."""
    router_aux_loss: float | None = limited(None, gt=0)
    """Mixture of experts: weight of the loss that spreads tokens evenly over experts, such as
    0.001; not part of the loss where not set."""
    kernels: KernelsName = "none"
    """Fused kernels of a package for norms, rotary embeddings and MLPs: liger, or unsloth, which
    loads the model its own way."""
    attention: AttentionName = "auto"
    """Attention kernel: auto takes the fastest that works here; sdpa is PyTorch's fused one, eager
    the plain one, s2 shifted sparse attention for long inputs, whole again at inference."""
    s2_group: int | None = limited(None, ge=2)
    """Tokens in a group of s2 attention; a quarter of the sequence where not set."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""


@section
class DataSection:
    """The rows to learn from."""

    train: tuple[DataSource, ...]
    """Sources of training rows."""
    mix: Literal["concat", "interleave_under", "interleave_over", "interleave_once"] = "concat"
    """How sources come together before the trainer shuffles: one after another, or drawn by
    weight until the first is used up (under), all are (over, short ones repeat), or all are and
    none repeats (once)."""
    eval: tuple[DataSource, ...] = ()
    """Files of held-out rows."""
    eval_fraction: float | None = limited(None, gt=0, lt=1)
    """Share of the training rows to hold out instead, chosen by the seed."""
    max_samples: int | None = limited(None, ge=1)
    """Use only the first rows of the mixed sources, after dropping bad ones."""
    streaming: bool = False
    """Read, encode and shuffle rows while training instead of before it, for data that is larger
    than memory: only the first rows are checked beforehand."""
    shuffle_buffer: int = limited(1000, ge=1)
    """Streaming: each row is drawn at random from so many read last; 1 keeps their order."""
    reasoning: Literal["keep", "drop"] = "keep"
    """Reasoning of assistant turns: handed to the template, or left out before rendering."""
    max_tokens: int | None = limited(None, ge=8)
    """Longest row, in tokens after rendering; 1024 or the model's context where not set."""
    over_long: Literal["drop", "cut_left", "cut_right", "split", "error"] | None = None
    """What happens to a longer row: dropped and listed, cut at one end and listed, or split;
    documents are split and other rows dropped where not set."""
    on_bad_row: Literal["error", "drop"] = "error"
    """What happens to a row that cannot be used: dropped rows are counted and listed."""
    train_on: Literal["assistant_turns", "last_turn", "everything"] = "assistant_turns"
    """Which tokens carry a loss; prompts do not, unless everything is asked for."""
    media_root: str | None = None
    """Folder that relative paths of images, videos and audio start from; the folder of the file
    that names them where not set."""
    image_max_pixels: int | None = limited(None, ge=1)
    """Larger images and video frames are scaled down to so many pixels before the model's
    processor sees them."""
    video_frames: int = limited(8, ge=1)
    """Frames taken of each video, evenly spaced."""
    video_as: Literal["video", "images"] = "video"
    """How the model gets a video: through its own video processor, which needs torchvision, or as
    that many images."""

    @property
    def media_loading(self) -> MediaLoading:
        """How media files become what a model takes."""
        return MediaLoading(
            image_max_pixels=self.image_max_pixels,
            video_frames=self.video_frames,
            video_as=self.video_as,
        )

    def eaten_as(self, kind: DatasetKind) -> "DataSection":
        """The section for a stage that trains on this kind: its sources say what rows are."""
        if kind is not DatasetKind.PROMPT:
            return self
        train, held_out = (
            tuple(replace(s, prompts=True) if s.prompts is None else s for s in sources)
            for sources in (self.train, self.eval)
        )
        return replace(self, train=train, eval=held_out)

    def row_limit(self, context_tokens: int) -> int:
        """Longest row in tokens: `max_tokens`, or 1024 where the model's context reaches so far."""
        return self.max_tokens or min(DEFAULT_MAX_TOKENS, context_tokens)

    def cut(self, kind: DatasetKind) -> str:
        """What happens to a row of this kind that is longer."""
        return self.over_long or ("split" if kind is DatasetKind.TEXT else "drop")


@section
class ScheduleSection:
    """How long, and how the learning rate moves."""

    epochs: float | None = limited(None, gt=0)
    """Passes over the training rows; 3 where max_steps is not set either."""
    max_steps: int | None = limited(None, ge=1)
    """Optimizer steps, instead of epochs."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after warm-up."""
    warmup_ratio: float | None = limited(None, ge=0, lt=1)
    """Share of the steps in which the learning rate rises; 0.03 unless warmup_steps is set."""
    warmup_steps: int | None = limited(None, ge=0)
    """Steps in which the learning rate rises."""
    max_grad_norm: float | None = limited(1.0, gt=0)
    """Longer gradients are scaled down to this norm; with null they are left as they are."""


@section
class BatchingSection:
    """How rows become steps."""

    per_device: int = limited(4, ge=1)
    """Rows in one forward pass on one device."""
    accumulate: int = limited(1, ge=1)
    """Forward passes whose gradients make one step."""
    packing: bool | None = None
    """Put several rows into one sequence of data.max_tokens; they do not see each other. Only for
    documents where not set."""
    group_by_length: bool = False
    """Put rows of like length together: less padding, less random order."""

    def packs(self, kind: DatasetKind) -> bool:
        """Whether rows of this kind are packed."""
        return self.packing if self.packing is not None else kind is DatasetKind.TEXT


@section
class TrackingSection:
    """What is measured while training."""

    log_every_steps: int = limited(1, ge=1)
    """Steps between loss readings."""
    eval_every_steps: int | None = limited(None, ge=1)
    """Steps between evaluations on held-out rows; at the end of training where not set."""
    best_by: str = "loss"
    """The held-out figure that says which evaluation is the best: loss, or a stage's own, such as
    rewards/accuracy."""
    early_stopping: StoppingSection | None = None
    """End the run when evaluations bring nothing better any more; it goes on where not set."""
    samples: SamplesSection | None = None
    """Prompts the model answers now and then while it learns; none where not set."""
    stall_after_s: float = limited(1800.0, gt=0)
    """Seconds without a sign of life after which the log gets every thread's stack, and you a
    warning."""
    trackers: tuple[Mapping[str, Json], ...] = parts("trackers")
    """Where figures also go, such as `[{name: tensorboard}]`; events.jsonl always has them all."""


@section
class OutputSection:
    """What is kept. Where is the door's affair (`--runs`), so that a spec's hash is placeless."""

    checkpoint_every_steps: int = limited(50, ge=1)
    """Steps between checkpoints; one is also written at the end and when a run is stopped."""
    keep_checkpoints: int = limited(2, ge=1)
    """Checkpoints kept; older ones are removed."""
    keep_best: bool = False
    """Make the result of the best evaluation by tracking.best_by, not of the last step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One fine-tuning run, complete: every default is filled in."""

    model: ModelSection
    """The model to start from."""
    data: DataSection
    """The rows to learn from."""
    stage: Choice
    """What kind of training, such as sft."""
    method: Choice
    """What learns, such as lora, and its options."""
    quantization: Choice | None
    """How frozen weights are packed while training; none by default."""
    precision: PrecisionSection
    """Number formats."""
    optimizer: Choice
    """The optimizer and its options."""
    schedule: ScheduleSection
    """How long, and how the learning rate moves."""
    batching: BatchingSection
    """How rows become steps."""
    parallelism: ParallelismSection
    """How many devices work together."""
    tracking: TrackingSection
    """What is measured while training."""
    output: OutputSection
    """What is kept of the run."""
    spec_version: Literal[1] = 1
    """Version of this layout."""
    name: str = "run"
    """A short name for people; it becomes part of the run's id."""
    seed: int = limited(42, ge=0, lt=2**32)
    """Seed of every random choice."""

    def as_json(self) -> dict[str, object]:
        """The spec as plain JSON values, in the layout of a spec file."""
        document = asdict(self)
        for key in CHOICES:
            choice: Choice | None = getattr(self, key)
            document[key] = {"name": choice.name, **choice.options} if choice else None
        return document

    @property
    def hash(self) -> str:
        """Content hash (64 hex digits): equal whatever door or file format the spec came by."""
        return fingerprint(self.as_json())


CHOICES: Mapping[str, str] = {
    "stage": "stages",
    "method": "methods",
    "quantization": "quantizers",
    "optimizer": "optimizers",
}
"""Keys whose content is a `Choice`, with the kind of thing chosen."""
