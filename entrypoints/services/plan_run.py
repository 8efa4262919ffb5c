"""Plan a run: everything resolved and every mistake found before any weight is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from domain.errors import HextuneError, Problem
from domain.model_handle import ModelHandle
from domain.planning import estimate, make_plan
from domain.prepared import PreparedData
from domain.rules import RuleContext, broken_rules
from domain.run_plan import RunPlan, TrainerFacts
from domain.run_spec import RunSpec
from entrypoints.services.encode_rows import Preparation
from entrypoints.services.prepare_data import PrepareData
from ports.hardware import HardwareProbe
from ports.model import ModelBackend
from ports.quant import QuantBackend
from ports.spec_reader import SpecDocument, SpecReader, SpecText
from ports.trainer import TrainerBackend

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, the spec it is for, and the rows it counted."""

    document: SpecDocument
    plan: RunPlan
    data: PreparedData


@dataclass(frozen=True, slots=True)
class PlanRun:
    """From spec text to a plan."""

    reader: SpecReader
    models: ModelBackend
    trainer: TrainerBackend
    quantizer: Callable[[str], QuantBackend]
    hardware: HardwareProbe
    prepare: PrepareData

    def __call__(self, text: SpecText) -> Planned:
        """The plan. Raises HextuneError with every problem that can be found in one go."""
        document = self.reader.read(text)
        spec, hardware, found = document.spec, self.hardware.probe(), _Findings()
        model = found.attempt(lambda: self.models.inspect(spec.model))
        facts = found.attempt(lambda: self.trainer.facts(spec, model) if model else None)
        packed = found.attempt(lambda: self._bytes_per_packed_weight(spec))
        data = found.attempt(lambda: self._data(spec, model, facts))
        memory = None
        if model and facts and data:
            memory = estimate(spec, hardware, model, facts, packed, data.longest)
        context = RuleContext(
            spec=spec, hardware=hardware, model=model, trainer=facts, data=data, memory=memory
        )
        problems = [document.placed(item) for item in found.problems]
        problems += broken_rules(context, document.place)
        if problems or not (model and facts and data and memory):
            raise HextuneError(problems)
        plan = make_plan(
            spec=spec,
            origins=document.origins,
            hardware=hardware,
            model=model,
            trainer=facts,
            data=data,
            memory=memory,
            warnings=broken_rules(context, document.place, warnings=True),
        )
        return Planned(document=document, plan=plan, data=data)

    def _bytes_per_packed_weight(self, spec: RunSpec) -> float | None:
        if spec.quantization is None:
            return None
        quantizer = self.quantizer(spec.quantization.name)
        quantizer.check(spec.quantization.options)
        return quantizer.bytes_per_weight(spec.quantization.options)

    def _data(
        self, spec: RunSpec, model: ModelHandle | None, facts: TrainerFacts | None
    ) -> PreparedData | None:
        """Encoded rows; without a model that can encode, the rows are checked all the same."""
        if not (model and facts and model.has_chat_template):
            self.prepare.check(spec.data, spec.seed)
            return None
        asked = Preparation(
            stage=spec.stage.name,
            eats=facts.eats,
            context_tokens=model.context_tokens,
            packing=spec.batching.packs(facts.eats),
            seed=spec.seed,
        )
        return self.prepare(spec.data, self.models.encoder(model), asked)


@dataclass(slots=True)
class _Findings:
    """Problems of attempts that go on after the first failure."""

    problems: list[Problem] = field(default_factory=list)

    def attempt(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except HextuneError as error:
            self.problems.extend(error.problems)
            return None
