"""Prepare an evaluation: everything a spec asks for is read, before a weight is loaded.

A new kind of evaluation gets one more branch in `_prepared`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.eval_spec import (
    AnswerSection,
    EvalSpec,
    ExamSection,
    JudgedSection,
    Kind,
    PerplexitySection,
    ProblemSection,
    ProgramSection,
)
from domain.model_handle import ResolvedModel
from entrypoints.services.evaluation import Evaluation
from entrypoints.services.judge_answers import JudgeAnswers
from entrypoints.services.measure_answers import MeasureAnswers
from entrypoints.services.measure_perplexity import MeasurePerplexity
from entrypoints.services.resolve_model import ResolveModel
from entrypoints.services.run_programs import RunPrograms
from entrypoints.services.sit_exam import SitExam
from entrypoints.services.solve_problems import SolveProblems
from ports.catalog import Catalog
from ports.datasets import RowReader
from ports.exams import ExamReader
from ports.inference import InferenceBackend
from ports.model import ModelBackend
from ports.program_checker import ProgramChecker
from ports.text_metrics import TextMetrics

NO_ROWS = "its files have no rows"
"""Said where nothing is left out and nothing is there."""


@dataclass(frozen=True, slots=True)
class PrepareEvaluation:
    """From a spec to evaluations whose items are known."""

    exams: ExamReader
    rows: RowReader
    models: ModelBackend
    texts: TextMetrics
    checker: ProgramChecker
    open_judge: Callable[[str, str], InferenceBackend]
    """(address, model name) to an engine that asks a server."""
    catalog: Catalog

    def __call__(self, spec: EvalSpec, resolved: ResolvedModel | None) -> Sequence[Evaluation]:
        """The evaluations. Raises HextuneError with every mistake in any of them.

        `resolved` is None for a model that a server answers as.
        """
        if not spec.evaluations:
            raise fail("eval-nothing-asked")
        self.catalog.summary("engines", spec.model.engine)
        found: list[Evaluation] = []
        problems: list[Problem] = []
        for key, asked in spec.evaluations:
            try:
                made = self._prepared(asked, key, spec, resolved)
            except HextuneError as error:
                problems += error.problems
                continue
            if made.about.title in {each.about.title for each in found}:
                place = Place(field=f"{key}.title")
                problems.append(problem("eval-title-twice", place, title=made.about.title))
            if not made.tasks:
                place, (first, *_) = Place(field=key), (*made.about.excluded, NO_ROWS)
                problems.append(
                    problem("eval-no-items", place, title=made.about.title, first=first)
                )
            found.append(made)
        if problems:
            raise HextuneError(problems)
        return found

    def _prepared(
        self, asked: Kind, key: str, spec: EvalSpec, resolved: ResolvedModel | None
    ) -> Evaluation:
        chats = resolved is None or resolved.handle.has_chat_template
        if not chats and not isinstance(asked, ExamSection | PerplexitySection):
            raise fail("model-not-chat", Place(field=key), name=spec.model.name)
        if isinstance(asked, ProblemSection):
            return SolveProblems(self.rows)(asked, key)
        if isinstance(asked, AnswerSection):
            return MeasureAnswers(self.rows, self.texts)(asked, key, spec.seed)
        if isinstance(asked, ProgramSection):
            return RunPrograms(self.rows, self.checker)(asked, key, spec.seed)
        if isinstance(asked, JudgedSection):
            return JudgeAnswers(self.rows, self.open_judge)(asked, key)
        if isinstance(asked, ExamSection):
            return SitExam(self.exams)(asked, key)
        if resolved is None:
            place = Place(field=key)
            raise fail("eval-needs-weights", place, title=asked.shown, url=spec.model.url)
        encoder = self.models.encoder(resolved.handle)
        context = resolved.handle.context_tokens
        return MeasurePerplexity(self.rows)(asked, key, encoder, context)


def resolved_of(spec: EvalSpec, resolve: ResolveModel) -> ResolvedModel | None:
    """The model to measure; None for one that a server answers as. Raises HextuneError."""
    if spec.model.url is not None:
        return None
    if spec.model.adapters:
        return resolve.under(spec.model.name, spec.model.adapters)
    return resolve(spec.model.name)


def measured_as(spec: EvalSpec, resolved: ResolvedModel | None) -> list[str]:
    """The names it is measured as: the base first, where it is compared, then the model."""
    if resolved is None:
        return [spec.model.name]
    names = [served.name for served in resolved.served()]
    return list(reversed(names)) if spec.model.compare_base else names[:1]
