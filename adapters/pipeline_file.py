"""Pipeline files: the text, overrides and messages of run specs, for a list of steps."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from adapters.pipeline_items import PIPELINE, Item, items_of
from adapters.spec_document import DEFAULT_NAMES
from adapters.spec_file import Draft, FileSpecReader, plain_values
from domain.errors import HextuneError, Place, Problem, problem
from domain.pipeline import GenerateSection, joined, model_over, references, replaced
from domain.planning import leaves
from domain.run_plan import Origin
from domain.stage import CHATTING, TrainingStage
from ports.catalog import Catalog
from ports.pipeline_reader import PipelineDocument, StepDocument
from ports.spec_reader import SpecDocument, SpecText

OWN_KEYS = ("name", "from", "generate")
GENERATES = {"model", "data", "seed"}
"""Sections that say something in a step that writes rows."""
DEFAULT_NAME = "pipeline"


class FilePipelineReader:
    """Implements ports.pipeline_reader.PipelineReader over the reader of run specs."""

    def __init__(self, catalog: Catalog, specs: FileSpecReader) -> None:
        self._catalog = catalog
        self._specs = specs

    def holds(self, text: SpecText) -> bool:
        """Whether there is a list of steps; broken text is reported as a run spec's."""
        return PIPELINE in plain_values(text)[0]

    def read(self, text: SpecText) -> PipelineDocument:
        """Every step, with all mistakes of all of them."""
        value, origins, places, problems = plain_values(text)
        items = items_of(value, problems, text.source)
        if not items:
            raise HextuneError(_placed(problems, Draft(value, places, text.source)))
        reading = _Reading(self._catalog, self._specs, text, value, origins, places, problems)
        steps = [found for item in items if (found := reading.step(item)) is not None]
        return PipelineDocument(
            name=reading.name, text=text, steps=steps, problems=tuple(reading.told())
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """A step that stands before others."""

    item: Item
    model: dict[str, Any]
    """Its model section."""
    adapter: bool
    """Whether its result is an adapter."""
    stage: TrainingStage | None
    """What it trains; None for a step that writes rows, and for an unknown stage."""
    writes: bool
    """Whether it writes rows."""

    @property
    def continuable(self) -> bool:
        return self.stage is not None and self.stage.yields != "reward_model"


@dataclass(slots=True)
class _Reading:
    """One file on its way through: the shared sections, and the steps read so far."""

    catalog: Catalog
    specs: FileSpecReader
    text: SpecText
    value: dict[str, Any]
    origins: dict[str, Origin]
    places: dict[str, Place]
    problems: list[Problem]
    known: list[_Known] = field(default_factory=list)

    @property
    def shared(self) -> dict[str, Any]:
        return {key: value for key, value in self.value.items() if key != PIPELINE}

    @property
    def name(self) -> str:
        return str(self.value.get("name", DEFAULT_NAME))

    def told(self) -> Iterator[Problem]:
        """Each problem once, though a shared section has it for every step."""
        seen = set[tuple[object, ...]]()
        for found in _placed(self.problems, Draft(self.value, self.places, self.text.source)):
            where = found.place
            key = (found.code, where.file, where.line, *sorted(found.facts.items()))
            if key not in seen:
                seen.add(key)
                yield found

    def step(self, item: Item) -> StepDocument | None:
        """The step's spec; None where it has mistakes, which are noted."""
        before = len(self.problems)
        own = {key: value for key, value in item.own.items() if key not in OWN_KEYS}
        source = self._source(item, own)
        values = self._values(item, own, source)
        made = self._known(item, values)
        self._check_order(item, source, made)
        generate = self._generate(item, own) if made.writes else None
        self.known.append(made)
        document = self._document(item, values)
        if document is None or len(self.problems) > before:
            return None
        return StepDocument(
            name=item.name,
            source=source.item.name if source else None,
            document=document,
            generate=generate,
        )

    # -- the chain ------------------------------------------------------------------------------
    def _source(self, item: Item, own: dict[str, Any]) -> _Known | None:
        """The step whose result this one goes on from."""
        model = own.get("model")
        model_of_its_own = isinstance(model, dict) and bool(model.keys() & {"name", "adapters"})
        if "from" in item.own:
            if item.own["from"] is None:
                return None
            if model_of_its_own:
                self._say("pipeline-two-models", f"{item.path}.from", name=item.name)
            return self._trained(str(item.own["from"]), f"{item.path}.from")
        if model_of_its_own:
            return None
        trained = [known for known in self.known if not known.writes]
        whole = [known for known in trained if known.continuable]
        # without any, the last one stands for what is asked, and its stage is refused
        return next(reversed(whole or trained), None)

    def _named(self, name: str, path: str) -> _Known | None:
        """The newest step called so, by its own name or by that of its turns."""
        for known in reversed(self.known):
            if name in (known.item.name, known.item.written):
                return known
        names = ", ".join(known.item.name for known in self.known) or "-"
        self._say("pipeline-unknown-step", path, name=name, known=names)
        return None

    def _trained(self, name: str, path: str) -> _Known | None:
        found = self._named(name, path)
        if found is not None and found.writes:
            self._say("pipeline-step-writes", path, name=found.item.name)
            return None
        return found

    def _check_order(self, item: Item, source: _Known | None, made: _Known) -> None:
        """Note a stage that may not start from its source's."""
        if source is None or source.stage is None:
            return
        follows = CHATTING if made.writes else made.stage.follows if made.stage else None
        if follows is None or source.stage.name in follows:
            return
        key = next(key for key in ("from", "stage", "name") if key in item.own)
        self._say(
            "stage-may-not-follow",
            f"{item.path}.{key}",
            stage=made.stage.name if made.stage else "generate",
            name=source.item.name,
            earlier=source.stage.name,
            follows=", ".join(sorted(follows)),
        )

    def _known(self, item: Item, values: dict[str, Any]) -> _Known:
        method, stage = (self._chosen(values, key) for key in ("method", "stage"))
        writes = "generate" in item.own
        model = values.get("model")
        return _Known(
            item=item,
            model=model if isinstance(model, dict) else {},
            adapter=method is None or method.ADAPTER_BASED,
            stage=stage.STAGE if stage is not None and not writes else None,
            writes=writes,
        )

    def _chosen(self, values: dict[str, Any], key: str) -> Any:
        """The part chosen under `key`; None for an unknown one, which is reported elsewhere."""
        section, kind = values.get(key), f"{key}s"
        name = DEFAULT_NAMES[key]
        if isinstance(section, dict):
            name = section.get("name", name)
        return self.catalog.part(kind, str(name)) if name in self.catalog.names(kind) else None

    # -- the step's spec --------------------------------------------------------------------------
    def _values(self, item: Item, own: dict[str, Any], source: _Known | None) -> dict[str, Any]:
        """The step's spec as plain values, its references by the names of steps."""
        shared = self.shared
        values = joined(shared, own)
        model, mine = shared.get("model", {}), own.get("model", {})
        if source is not None and isinstance(model, dict) and isinstance(mine, dict):
            values["model"] = model_over(
                model, mine, source.model, step=source.item.name, adapter=source.adapter
            )
        values["name"] = f"{self.name}-{item.name}"
        named = {}
        for path, name in references({**values, "model": mine}):
            found = self._reference(item, path, name)
            if found is not None:
                named[path] = found.item.name
        return dict(replaced(values, lambda path, name: f"step:{named.get(path, name)}"))

    def _reference(self, item: Item, path: str, name: str) -> _Known | None:
        where = f"{item.path}.{path}"
        if path.startswith("model."):
            self._say("pipeline-model-reference", where, name=name)
            return None
        if not path.startswith("data."):
            return self._trained(name, where)
        found = self._named(name, where)
        if found is not None and not found.writes:
            self._say("pipeline-step-trains", where, name=found.item.name)
            return None
        return found

    def _document(self, item: Item, values: dict[str, Any]) -> SpecDocument | None:
        places, own = self._places(item)
        prefix = f"{item.path}."
        mine = {k.removeprefix(prefix): o for k, o in self.origins.items() if k.startswith(prefix)}
        origins = {key: Origin.FILE for key, _ in leaves(values)} | self.origins | mine
        found: list[Problem] = []
        document = self.specs.checked(self.text, values, origins, places, found)
        self.problems += [_own_field(each, item.path, own) for each in found]
        return document

    def _places(self, item: Item) -> tuple[dict[str, Place], set[str]]:
        """(place of each key of the step's spec, the keys that are its own)."""
        prefix = f"{item.path}."
        own = {k.removeprefix(prefix): p for k, p in self.places.items() if k.startswith(prefix)}
        lists = {key.partition(".0.")[0] for key, _ in leaves(item.own) if ".0." in key}
        shared = {
            key: place
            for key, place in self.places.items()
            if not any(key.startswith(f"{each}.") for each in lists)
        }
        start = Draft(self.value, self.places, self.text.source).place(item.path)
        given = {"model.adapters": self.places.get(f"{prefix}from", start)}
        return {**shared, **given, **own}, set(own)

    def _generate(self, item: Item, own: dict[str, Any]) -> GenerateSection | None:
        """What the step writes."""
        for key in own.keys() - GENERATES:
            self._say("pipeline-generate-key", f"{item.path}.{key}", key=key)
        base = f"{item.path}.generate"
        asked = item.own["generate"] if item.own["generate"] is not None else {}
        if not isinstance(asked, dict):
            reason = "it should be a mapping of keys"
            self._say("spec-bad-value", base, key="generate", value=asked, reason=reason)
            return None
        places = {
            key.removeprefix(f"{base}."): place
            for key, place in self.places.items()
            if key.startswith(f"{base}.")
        }
        found: list[Problem] = []
        adapter: TypeAdapter[Any] = TypeAdapter(GenerateSection)
        made: GenerateSection | None = Draft(asked, places, self.text.source).validated(
            adapter, found
        )
        self.problems += [_own_field(each, base, set(places)) for each in found]
        if made is not None:
            self._check_judge(made, base)
        return made

    def _check_judge(self, section: GenerateSection, base: str) -> None:
        if section.chosen == "own":
            return
        if section.answers < 2:
            self._say("pipeline-one-answer", f"{base}.answers", answers=section.answers)
        missing = [each for each in ("{question}", "{answer}") if each not in section.judge]
        if missing:
            self._say("pipeline-judge-prompt", f"{base}.judge", missing=" ".join(missing))

    def _say(self, code: str, path: str, **facts: object) -> None:
        place = Place(file=self.text.source, field=path)
        self.problems.append(problem(code, place, **facts))


def _own_field(found: Problem, path: str, own: set[str]) -> Problem:
    """`found` with its field as it stands in the file, where the step itself set it."""
    key = found.place.field or ""
    while key and key not in own:
        key = key.rpartition(".")[0]
    if not key:
        return found
    return replace(found, place=replace(found.place, field=f"{path}.{found.place.field}"))


def _placed(problems: list[Problem], draft: Draft) -> list[Problem]:
    """The problems with the line of their field, where they have none yet."""
    return [
        replace(each, place=draft.place(each.place.field))
        if each.place.line is None and each.place.field and each.place.file != "override"
        else each
        for each in problems
    ]
