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
    """Ask an OpenAI-compatible server instead, such as http://127.0.0.1:8000/v1: everything but
    perplexity. Exams need its /v1/completions with echo and logprobs. Its key is read from
    OPENAI_API_KEY."""
    engine: str = "transformers"
    """What writes its answers: a name of `tune list engines`; likelihoods need none."""
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


TextScore = Literal["bleu-4", "rouge-1", "rouge-2", "rouge-l", "exact-match", "f1"]


@section
class AnswerSection:
    """Rows answered freely, each answer compared with the row's own."""

    data: tuple[DataSource, ...]
    """Sources of rows, as in a run's data section."""
    title: str = "answers"
    """What reports call it, followed by the score's name."""
    scores: tuple[TextScore, ...] = ("bleu-4", "rouge-1", "rouge-2", "rouge-l")
    """How answers are compared: BLEU (sacrebleu), ROUGE (rouge-score), equal, F1 of words."""
    language: Literal["auto", "en", "zh"] = "auto"
    """What words are: zh is segmented with jieba; auto looks for Chinese in the row's answer."""
    limit: int | None = limited(100, ge=1)
    """Ask only the first rows; null for all."""
    max_tokens: int = limited(256, ge=1)
    """Longest answer."""
    temperature: float = limited(0.0, ge=0, le=2)
    """0 takes the likeliest token; above it, tokens are drawn by the spec's seed."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title


@section
class ProgramColumns:
    """Which column holds what."""

    question: str = "prompt"
    """What is to be programmed: a task, or the head of a function."""
    tests: str = "test"
    """Code that fails where the answer is wrong: text, or a list of lines."""
    entry: str = "entry_point"
    """Name of the function that `check` of the tests is called with; may be missing."""


@section
class ProgramSection:
    """Programs written freely and tried out: pass@k (HumanEval)."""

    data: DataSource
    """The tasks."""
    run_generated_code: bool = False
    """Consent to run what the model writes: in a process of its own, with limits of time and
    memory, and without network where the system allows that. Needed."""
    title: str = "programs"
    """What reports call it, followed by pass@k."""
    samples: int = limited(1, ge=1)
    """Programs written for each task."""
    k: tuple[int, ...] = (1,)
    """For each, how likely one of k programs passes; none above samples."""
    temperature: float = limited(0.0, ge=0, le=2)
    """0 takes the likeliest token; several samples need more, such as 0.8."""
    prompt: str = "{question}"
    """What the model is asked; {question} is the task."""
    columns: ProgramColumns = built(ProgramColumns)
    """Column names, where they are not HumanEval's."""
    limit: int | None = limited(None, ge=1)
    """Only the first tasks."""
    max_tokens: int = limited(512, ge=1)
    """Longest answer."""
    time_s: float = limited(10.0, gt=0)
    """Longest run of a program, in seconds."""
    memory_mb: int = limited(1024, ge=64)
    """Most memory of a program, in MiB."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title


JUDGE_PROMPT = """\
Rate how well an answer serves the question, from {lowest} (useless) to {highest} (perfect). Think \
first, in a sentence or two; end with the rating in double brackets, such as [[{highest}]].

[Question]
{question}

[Reference answer]
{reference}

[Answer to rate]
{answer}
"""


@section
class JudgedSection:
    """Rows answered freely, each answer rated by another model."""

    data: tuple[DataSource, ...]
    """Sources of rows, as in a run's data section."""
    url: str
    """Any OpenAI-compatible server that judges, such as http://127.0.0.1:8000/v1. Its key is
    read from OPENAI_API_KEY."""
    judge: str
    """What that server calls the judging model."""
    title: str = "judged"
    """What reports call it."""
    prompt: str = JUDGE_PROMPT
    """What the judge is asked; {question}, {reference}, {answer}, {lowest} and {highest} are
    filled in. Its rating is the last number in double brackets."""
    lowest: int = 1
    """Worst rating."""
    highest: int = 10
    """Best rating."""
    limit: int | None = limited(100, ge=1)
    """Ask only the first rows; null for all."""
    max_tokens: int = limited(512, ge=1)
    """Longest answer, and longest judgement."""

    @property
    def shown(self) -> str:
        """What reports call it."""
        return self.title


Kind = (
    ExamSection
    | PerplexitySection
    | ProblemSection
    | AnswerSection
    | ProgramSection
    | JudgedSection
)
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
    answers: tuple[AnswerSection, ...] = ()
    """Rows answered freely, compared with the rows' own answers."""
    programs: tuple[ProgramSection, ...] = ()
    """Programs written freely and tried out."""
    judged: tuple[JudgedSection, ...] = ()
    """Rows answered freely, rated by another model."""
    bootstrap: int = limited(1000, ge=100)
    """Resamples behind each 95% interval."""
    seed: int = 0
    """Seed of the resampling, and of tokens that are drawn."""

    @property
    def evaluations(self) -> Sequence[tuple[str, Kind]]:
        """(dotted key, section) of all that is asked, in order."""
        kinds: Mapping[str, Sequence[Kind]] = {
            "exams": self.exams,
            "perplexity": self.perplexity,
            "problems": self.problems,
            "answers": self.answers,
            "programs": self.programs,
            "judged": self.judged,
        }
        return [(f"{key}.{n}", each) for key, all_ in kinds.items() for n, each in enumerate(all_)]

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values, every default filled in."""
        return asdict(self)

    @property
    def hash(self) -> str:
        """Content hash (64 hex digits)."""
        return fingerprint(self.as_json())
