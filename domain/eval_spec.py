"""EvalSpec: what an evaluation is asked for, in one frozen value with a content hash.

A spec holds a list for each kind of evaluation. A new kind is a section of its own here, a list of
it in `EvalSpec`, and a file under `entrypoints/services/` that prepares it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from domain.dataset import DataSource
from domain.fingerprint import Json, fingerprint
from domain.section import built, limited, section


@section
class EvaluatedModel:
    """The model to measure."""

    name: str
    """A finished run, a model folder, a hub id or builtin:NAME; with url, what the server calls
    it."""
    adapters: tuple[str, ...] = ()
    """Adapters on the model, in order: folders, such as a checkpoint of a run, or finished runs."""
    url: str | None = None
    """Ask an OpenAI-compatible server instead, such as http://127.0.0.1:8000/v1: problems only, as
    servers tell no likelihoods. Its key is read from OPENAI_API_KEY."""
    compare_base: bool = True
    """Measure the base as well, where the run has an adapter; both share one network."""


@section
class ExamSection:
    """An exam of multiple-choice questions; each option's likelihood is its score."""

    name: str
    """A name of `tune list exams`, or a JSON file that describes an exam."""
    path: str
    """The folder or zip file its authors publish."""
    title: str | None = None
    """What reports call it; its name and shots where not set."""
    shots: int = limited(5, ge=0)
    """Examples with answers before each question."""
    split: str | None = None
    """Part whose questions are asked; the one its authors report on where not set."""
    subjects: tuple[str, ...] = ()
    """Subjects to ask; all where none is named."""
    limit: int | None = limited(None, ge=1)
    """Ask only the first questions of each subject."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title or f"{self.name.rpartition('/')[2]} {self.shots}-shot"


@section
class PerplexitySection:
    """How well the model predicts documents or conversations."""

    data: tuple[DataSource, ...]
    """Sources of rows, as in a run's data section."""
    title: str = "perplexity"
    """What reports call it."""
    over: Literal["trained", "all"] = "trained"
    """Which tokens count: those that training would learn, or all but the first of a row."""
    window: int | None = limited(None, ge=2)
    """Tokens the model sees at once; its context where not set, 2048 at most."""
    stride: int | None = limited(None, ge=1)
    """Tokens between the beginnings of two windows of a long row; half a window where not set.
    Each token counts once, in the first window that holds it."""
    limit: int | None = limited(None, ge=1)
    """Measure only the first rows."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title


@section
class ProblemColumns:
    """Which column holds what."""

    question: str = "question"
    """The problem."""
    answer: str = "answer"
    """The worked answer, which ends with #### and the number."""


@section
class ProblemSection:
    """Problems with a number as their answer, answered freely (GSM8K)."""

    data: DataSource
    """The problems."""
    title: str | None = None
    """What reports call it; problems and shots where not set."""
    examples: DataSource | None = None
    """Where the worked examples come from; needed for shots above 0."""
    shots: int = limited(0, ge=0)
    """Worked examples as earlier turns of the conversation."""
    prompt: str = "{question}"
    """What the model is asked; {question} is the problem."""
    columns: ProblemColumns = built(ProblemColumns)
    """Column names, where they are not GSM8K's."""
    limit: int | None = limited(100, ge=1)
    """Ask only the first problems; null for all."""
    max_tokens: int = limited(512, ge=1)
    """Longest answer."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title or f"problems {self.shots}-shot"


Kind = ExamSection | PerplexitySection | ProblemSection
"""One evaluation of any kind."""


@section
class EvalSpec:
    """Everything an evaluation is asked for."""

    model: EvaluatedModel
    """The model to measure."""
    name: str = "eval"
    """Short name; it becomes part of the run's id."""
    exams: tuple[ExamSection, ...] = ()
    """Exams of multiple-choice questions."""
    perplexity: tuple[PerplexitySection, ...] = ()
    """Texts whose likelihood is measured."""
    problems: tuple[ProblemSection, ...] = ()
    """Problems answered freely, with a number as their answer."""
    bootstrap: int = limited(1000, ge=100)
    """Resamples behind each 95% interval."""
    seed: int = 0
    """Seed of the resampling."""

    @property
    def evaluations(self) -> Sequence[tuple[str, Kind]]:
        """(dotted key, section) of all that is asked, in order."""
        kinds: Mapping[str, Sequence[Kind]] = {
            "exams": self.exams,
            "perplexity": self.perplexity,
            "problems": self.problems,
        }
        return [(f"{key}.{n}", each) for key, all_ in kinds.items() for n, each in enumerate(all_)]

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values, every default filled in."""
        return asdict(self)

    @property
    def hash(self) -> str:
        """Content hash (64 hex digits)."""
        return fingerprint(self.as_json())
