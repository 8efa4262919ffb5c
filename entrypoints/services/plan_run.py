"""Plan a run: everything resolved and every mistake found before any weight is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from domain.attention import choose_attention
from domain.dataset import DatasetKind
from domain.errors import HextuneError, Problem
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.planning import estimate, make_plan
from domain.prepared import PreparedData
from domain.rope import RopeSection
from domain.rule_context import RuleContext
from domain.rules import broken_rules
from domain.run_plan import RunPlan, TrainerFacts
from domain.run_spec import Choice, ModelSection, RunSpec
from entrypoints.services.check_order import CheckOrder
from entrypoints.services.encode_rows import Preparation
from entrypoints.services.find_adapters import FindAdapters
from entrypoints.services.find_rewards import with_reward_folders
from entrypoints.services.prepare_data import PrepareData
from ports.hardware import HardwareProbe
from ports.quant import QuantBackend
from ports.shapes import ModelShapes, TrainingShapes
from ports.spec_reader import SpecDocument, SpecReader, SpecText

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, the spec it is for, and the rows it counted."""

    document: SpecDocument
    plan: RunPlan
    data: PreparedData
    model: ModelSection
    """The spec's model, its adapters as folders, its attention and rope factor chosen."""
    stage: Choice
    """The spec's stage, its reward models as folders."""


@dataclass(frozen=True, slots=True)
class PlanRun:
    """From spec text to a plan."""

    reader: SpecReader
    models: ModelShapes
    trainer: TrainingShapes
    quantizer: Callable[[str], QuantBackend]
    hardware: HardwareProbe
    prepare: PrepareData
    adapters: FindAdapters
    check_order: CheckOrder

    def __call__(self, text: SpecText) -> Planned:
        """The plan. Raises HextuneError with every problem that can be found in one go."""
        return self.of(self.reader.read(text))

    def of(self, document: SpecDocument) -> Planned:
        """The plan of a spec that was read. Raises HextuneError as above."""
        spec, hardware, found = document.spec, self.hardware.probe(), _Findings()
        found.attempt(lambda: self.check_order(spec))
        section = found.attempt(lambda: self.adapters.in_section(spec.model))
        model = found.attempt(lambda: self._inspect(section, spec) if section else None)
        stage = found.attempt(
            lambda: with_reward_folders(self.adapters, spec.stage, section) if section else None
        )
        facts = found.attempt(
            lambda: (
                self.trainer.facts(replace(spec, stage=stage), model) if model and stage else None
            )
        )
        packed = found.attempt(lambda: self._packed_bytes(spec, model, hardware))
        data = found.attempt(lambda: self._data(spec, model, facts))
        memory = None
        if model and facts and data:
            memory = estimate(spec, hardware, model, facts, packed, data.longest)
        versions = self.hardware.versions()
        context = RuleContext(
            spec=spec,
            hardware=hardware,
            model=model,
            trainer=facts,
            data=data,
            memory=memory,
            versions=versions,
        )
        problems = [document.placed(item) for item in found.problems]
        problems += broken_rules(context, document.place)
        if problems or not (section and model and stage and facts and data and memory):
            raise HextuneError(problems)
        compute = context.precision.compute
        attention = choose_attention(
            spec.model.attention, hardware, versions, compute, model.attention
        )
        plan = make_plan(
            spec=spec,
            origins=document.origins,
            hardware=hardware,
            model=model,
            trainer=facts,
            data=data,
            memory=memory,
            attention=attention,
            warnings=broken_rules(context, document.place, warnings=True),
        )
        rope = RopeSection(type=model.rope.type, factor=model.rope.factor) if model.rope else None
        section = replace(section, attention=attention.name, rope=rope)
        return Planned(document=document, plan=plan, data=data, model=section, stage=stage)

    def _inspect(self, section: ModelSection, spec: RunSpec) -> ModelHandle:
        return self.models.inspect(section).stretched(section.rope, spec.data.max_tokens)

    def _packed_bytes(
        self, spec: RunSpec, model: ModelHandle | None, hardware: Hardware
    ) -> float | None:
        """Bytes of one packed weight, packed while loading or before; None for plain weights."""
        if model is None:
            return None
        if spec.quantization is not None:
            quantizer = self.quantizer(spec.quantization.name)
            quantizer.check(spec.quantization.options, model, hardware)
            return quantizer.bytes_per_weight(spec.quantization.options, model)
        if model.packed is None or model.packed.bytes_per_weight is None:
            return None
        self.quantizer(model.packed.by).check({}, model, hardware)
        return model.packed.bytes_per_weight

    def _data(
        self, spec: RunSpec, model: ModelHandle | None, facts: TrainerFacts | None
    ) -> PreparedData | None:
        """Encoded rows; without a model that can encode, the rows are checked all the same."""
        if not (model and facts and (model.has_chat_template or facts.eats is DatasetKind.TEXT)):
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
