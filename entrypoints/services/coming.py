"""What steps of a pipeline will have made, while they are planned: shapes and rows in their place.

The ports are those a plan asks, so that every rule judges a step that starts from another's result
as it judges a run: an adapter that is not there yet has the shape its method gives it, whole
weights have the shape of their base, and rows not written yet stand in by the prompts' own answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from domain.dataset import DataSource, LocatedRow
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.media import MediaFile, MediaKind
from domain.model_handle import ModelHandle
from domain.pipeline import STEP, references
from domain.run_plan import ReferenceKind, TrainerFacts
from domain.run_spec import Choice, ModelSection, RunSpec
from entrypoints.services.find_adapters import FindAdapters
from ports.datasets import RowReader
from ports.encoder import ConversationEncoder
from ports.shapes import ModelShapes, TrainingShapes

CONTINUED = "continued"
"""The method that lets the last adapter learn on."""
STAND_IN: Mapping[str, Json] = {
    "name": "regex", "pattern": ".", "compare": False, "take": "first",
    "reward": 1.0, "otherwise": 0.0, "weight": 1.0,
}  # fmt: skip
"""A reward in the place of a reward model that is not trained yet."""


@dataclass(frozen=True, slots=True)
class Coming:
    """The steps read so far, what those planned would train, and the rows they will write."""

    specs: dict[str, RunSpec] = field(default_factory=dict)
    facts: dict[str, TrainerFacts] = field(default_factory=dict)
    models: dict[str, ModelHandle] = field(default_factory=dict)
    rows: dict[str, list[Mapping[str, object]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComingModels:
    """Implements ports.shapes.ModelShapes."""

    models: ModelShapes
    adapters: FindAdapters
    coming: Coming

    def inspect(self, model: ModelSection) -> ModelHandle:
        """The shape a step will start from: its base's, with every adapter it will have."""
        if model.name.startswith(STEP):
            base = self.coming.specs[model.name.removeprefix(STEP)].model
            return replace(self.inspect(replace(base, adapters=())), name=model.name)
        stack = self._stack(model.adapters)
        there = tuple(folder for folder in stack if not folder.startswith(STEP))
        return replace(self.models.inspect(replace(model, adapters=there)), adapters=stack)

    def _stack(self, names: tuple[str, ...]) -> tuple[str, ...]:
        stack: tuple[str, ...] = ()
        for name in names:
            if not name.startswith(STEP):
                stack = (*stack, name)
                continue
            spec = self.coming.specs[name.removeprefix(STEP)]
            under = self._stack(self.adapters.in_section(spec.model).adapters)
            stack += (*(under[:-1] if spec.method.name == CONTINUED else under), name)
        return stack

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        """The base's."""
        return self.models.encoder(handle)


@dataclass(frozen=True, slots=True)
class ComingTrainer:
    """Implements ports.shapes.TrainingShapes."""

    trainer: TrainingShapes
    coming: Coming

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        """What would be trained over adapters that are not there yet."""
        there = tuple(each for each in model.adapters if not each.startswith(STEP))
        made = self._made(model.adapters[-1] if model.adapters else "")
        bare = replace(model, adapters=there)
        spec, judges = self._without_judges(spec)
        if made is None or spec.method.name != CONTINUED:
            return self._judged(self.trainer.facts(spec, bare), model, judges)
        facts = self._judged(self.trainer.facts(replace(spec, method=made), bare), model, judges)
        compared = facts.reference is not ReferenceKind.NONE
        reference = ReferenceKind.COPY if compared else ReferenceKind.NONE
        return replace(facts, continues=True, changes_base=False, reference=reference)

    def _without_judges(self, spec: RunSpec) -> tuple[RunSpec, Mapping[str, str]]:
        """(the spec with a reward that needs no file for each of a coming step, those by field)."""
        judges = dict(references(spec.stage.options, "stage"))
        if not judges:
            return spec, judges
        rewards: Any = spec.stage.options["rewards"]
        kept = tuple(STAND_IN if list(references(each)) else each for each in rewards)
        options = {**spec.stage.options, "rewards": kept}
        return replace(spec, stage=Choice(spec.stage.name, options)), judges

    def _judged(
        self, facts: TrainerFacts, policy: ModelHandle, judges: Mapping[str, str]
    ) -> TrainerFacts:
        """The facts with what reward models of coming steps keep in memory.

        Raises HextuneError for a step that makes none, or one that cannot lie beside the policy.
        """
        for place, name in judges.items():
            if name in self.coming.facts:  # otherwise its own mistakes are told
                facts = self._beside(facts, policy, name, Place(field=place))
        return facts

    def _beside(
        self, facts: TrainerFacts, policy: ModelHandle, name: str, place: Place
    ) -> TrainerFacts:
        made, under = self.coming.facts[name], self.coming.models[name]
        if made.yields != "reward_model":
            raise fail("reward-model-missing", place, name=STEP + name)
        if not made.adapter_based:
            return replace(facts, beside=facts.beside + under.parameters + under.hidden)
        theirs, ours = ((each.name, *each.adapters) for each in (under, policy))
        if theirs != ours:
            told = {"theirs": " + ".join(theirs), "ours": " + ".join(ours)}
            raise fail("reward-other-base", place, name=STEP + name, **told)
        if facts.shares_base:
            raise fail("reward-two-models", place)
        return replace(facts, beside=facts.beside + made.trainable, shares_base=True)

    def _made(self, adapter: str) -> Choice | None:
        """The method that makes an adapter of a coming step; None where it is there already."""
        if not adapter.startswith(STEP):
            return None
        spec = self.coming.specs[adapter.removeprefix(STEP)]
        if spec.method.name == CONTINUED and spec.model.adapters:
            return self._made(spec.model.adapters[-1]) or spec.method
        return spec.method


@dataclass(frozen=True, slots=True)
class ComingRows:
    """Implements ports.datasets.RowReader for planning."""

    reader: RowReader
    coming: Coming

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        """Rows of a source, or those that stand in for a step's."""
        if not source.name.startswith(STEP):
            yield from self.reader.read(source)
            return
        for number, values in enumerate(self.coming.rows.get(source.name.removeprefix(STEP), [])):
            yield LocatedRow(values=values, file=source.name, line=number + 1)

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        """What the file's header says, or why it cannot be used."""
        return self.reader.media(path, kind)
