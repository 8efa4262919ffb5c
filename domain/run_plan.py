"""RunPlan: what a run will do, every decision with where it comes from and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from domain.budget import MemoryEstimate
from domain.dataset import DatasetKind
from domain.errors import Problem
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.parallelism import Parallelism
from domain.precision import PrecisionPolicy
from domain.schedule import StepPlan


class Origin(StrEnum):
    """Who decided."""

    DEFAULT = "default"
    FILE = "file"
    OVERRIDE = "override"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One resolved value."""

    key: str
    """Dotted path in the spec, or a name of what was derived."""
    value: Json
    """What holds."""
    origin: Origin
    """Who decided."""
    reason: str
    """Why."""


class ReferenceKind(StrEnum):
    """How a stage gets at the model its run started from."""

    NONE = "none"
    ADAPTERS_OFF = "adapters_off"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerFacts:
    """What a stage and method would do to a model, known without its weights."""

    adapter_based: bool
    """Whether base weights stay frozen and an adapter learns."""
    trainable: int
    """Weights that learn."""
    over_packed: bool = True
    """Whether the method trains over weights a quantizer has packed."""
    changes_base: bool = False
    """Whether preparing the method changes base weights before the first step."""
    needs_packed: bool = False
    """Whether the method starts from what packing lost."""
    reads_packed: bool = False
    """Whether the method unpacks packed weights in each step."""
    start_tokens: int = 0
    """Trained tokens the method's first values are computed from, at the least."""
    adds_weights: bool = True
    """Whether the weights that learn come on top of the model's own."""
    continues: bool = False
    """Whether the last of the model's adapters learns on; otherwise all are merged first."""
    foreign_adapters: tuple[str, ...] = ()
    """Adapters of the model that name another base, each with that base."""
    optimizer_keeps: Kept | None = None
    """What the optimizer keeps in memory; AdamW's two numbers for each weight where not known."""
    optimizer_needs: tuple[Need, ...] = ()
    """What the optimizer asks of the run."""
    eats: DatasetKind = DatasetKind.CONVERSATION
    """The kind of rows the stage trains on."""
    yields: str = "chat_model"
    """What the stage makes."""
    reference: ReferenceKind = ReferenceKind.NONE
    """The model answers are measured against: none, the base with adapters off, or a copy."""
    parallel_config: Mapping[str, Json] | None = None
    """What the user's own DeepSpeed file says."""

    answers: int = 1
    """Answers the model writes to each prompt while it learns."""
    answer_tokens: int = 0
    """The most tokens of such an answer."""
    beside: int = 0
    """Frozen weights beside the model's own: those of reward models."""
    shares_base: bool = False
    """Whether they lie over the model's base, which therefore has to stay as it was."""

    @property
    def sequences_per_row(self) -> int:
        """Sequences a row puts into a batch: a preference is its chosen and its rejected one."""
        return 2 if self.eats is DatasetKind.PREFERENCE else self.answers


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Everything known before any weight is loaded."""

    spec_hash: str
    """Hash of the spec this plan is for."""
    decisions: Sequence[Decision]
    """Every value of the spec and every derived one."""
    model: ModelHandle
    """The model's shape."""
    hardware: Hardware
    """The machine."""
    precision: PrecisionPolicy
    """Number formats."""
    trainer: TrainerFacts
    """What learns."""
    steps: StepPlan
    """Steps and tokens."""
    memory: MemoryEstimate
    """Peak memory by component, in bytes."""
    parallelism: Parallelism
    """The processes that train."""
    data: Mapping[str, Json]
    """Account of the rows: read, dropped, too long, formats, fingerprints."""
    warnings: Sequence[Problem] = ()
    """What deserves a look but stops nothing."""

    def as_json(self) -> dict[str, object]:
        """The plan as plain JSON values."""
        document = asdict(self)
        document["memory"]["total"] = self.memory.total
        document["warnings"] = [warning.as_json() for warning in self.warnings]
        return document
