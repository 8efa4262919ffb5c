"""Reading pipelines from text: each step a run spec, with the place of every value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import Problem
from domain.pipeline import GenerateSection, PipelineSpec, PipelineStep
from ports.spec_reader import SpecDocument, SpecText


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDocument:
    """A step that was read."""

    name: str
    """The step's name."""
    source: str | None
    """The step it goes on from."""
    document: SpecDocument
    """Its run spec, with references to earlier steps."""
    generate: GenerateSection | None
    """What it writes; None for a step that trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineDocument:
    """A pipeline that was read."""

    name: str
    """Its short name."""
    text: SpecText
    """As the user wrote it."""
    steps: Sequence[StepDocument]
    """The steps that could be read, in order."""
    problems: Sequence[Problem]
    """What is wrong with the others, and with the chain."""

    @property
    def spec(self) -> PipelineSpec:
        """The pipeline as it is recorded."""
        steps = []
        for each in self.steps:
            spec, written = each.document.spec.as_json(), each.generate
            steps.append(
                PipelineStep(name=each.name, source=each.source, spec=spec, generate=written)
            )
        return PipelineSpec(name=self.name, steps=steps)


class PipelineReader(Protocol):
    """Turns text into a pipeline."""

    def holds(self, text: SpecText) -> bool:
        """Whether `text` is a pipeline rather than a single run."""

    def read(self, text: SpecText) -> PipelineDocument:
        """The pipeline in `text`. Raises HextuneError where there are no steps to speak of."""
