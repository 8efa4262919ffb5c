"""What a rule of compatibility is, and what is known when it is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domain.budget import MemoryEstimate
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy, choose_precision
from domain.prepared import PreparedData
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What is known when rules are judged; parts that could not be read are None."""

    spec: RunSpec
    hardware: Hardware
    model: ModelHandle | None = None
    trainer: TrainerFacts | None = None
    data: PreparedData | None = None
    memory: MemoryEstimate | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    """Installed packages."""

    @property
    def precision(self) -> PrecisionPolicy:
        """The policy the spec leads to on this hardware."""
        return choose_precision(self.spec.precision, self.hardware)

    @property
    def packer(self) -> str | None:
        """What packs the base weights, while loading or in the checkpoint; None for plain ones."""
        if self.spec.quantization is not None:
            return self.spec.quantization.name
        return self.model.packed.by if self.model and self.model.packed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of compatibility."""

    id: str
    """Code of its texts."""
    field: str
    """Dotted path it points at."""
    breach: Callable[[RuleContext], Facts | None]
    """Facts of a breach, or None."""
    warns: bool = False
    """Whether a breach deserves a look but stops nothing."""
