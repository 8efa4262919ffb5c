"""eval: measure models, show what was measured, and compare two evaluations."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from domain.errors import Place, fail
from domain.job import Job, JobStatus
from entrypoints.cli.commands.human import human
from entrypoints.cli.options import Json, Overrides, Run, Runs

if TYPE_CHECKING:
    from entrypoints.container import Container
    from ports.spec_reader import SpecText


class RunByDefault(TyperGroup):
    """A group whose `run` needs not be named: `tune eval SPEC` is `tune eval run SPEC`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` in front of what is neither a command nor a call for help."""
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    help="Measure models: exams, texts, answers, programs. `tune eval SPEC` runs one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("human")(human)


Everything = Annotated[bool, typer.Option("--all", help="Show every subject.")]
OwnSpec = Annotated[str | None, typer.Argument(help="Evaluation spec: YAML, TOML or JSON.")]
Model = Annotated[
    str | None, typer.Option("--model", help="Instead of a spec: the run or model to measure.")
]
Adapters = Annotated[
    list[str] | None,
    typer.Option("--adapter", help="With --model: an adapter on it, such as a checkpoint."),
]
Exams = Annotated[
    list[str] | None, typer.Option("--exam", help="With --model: an exam; may be repeated.")
]
Paths = Annotated[
    list[str] | None,
    typer.Option("--path", help="Folder or zip file of each --exam, in the same order."),
]
Shots = Annotated[
    int | None, typer.Option(min=0, help="Examples before each question; 5 where not given.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many questions of each subject.")]
Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Ask only this one; may be repeated.")
]
Texts = Annotated[
    list[str] | None,
    typer.Option("--perplexity", help="With --model: a file of rows; may be repeated."),
]
Answers = Annotated[
    list[str] | None,
    typer.Option("--answers", help="With --model: a file of rows to answer; may be repeated."),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Start it and return; `tune watch` attaches.")
]


@app.command("run")
def run(
    spec: OwnSpec = None,
    overrides: Overrides = None,
    model: Model = None,
    adapter: Adapters = None,
    exam: Exams = None,
    path: Paths = None,
    shots: Shots = None,
    limit: Limit = None,
    subject: Subjects = None,
    perplexity: Texts = None,
    answers: Answers = None,
    detach: Detach = False,
    everything: Everything = False,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Measure a model as a spec or the options say. Ctrl-C ends it; `tune resume` goes on."""
    from entrypoints.container import make_container

    container = make_container(runs)
    options = {
        "--model": model,
        "--adapter": adapter,
        "--exam": exam,
        "--path": path,
        "--shots": shots,
        "--limit": limit,
        "--subject": subject,
        "--perplexity": perplexity,
        "--answers": answers,
    }
    if spec is not None:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise fail("eval-asks-twice", options=", ".join(given))
        text = container.spec_reader().load(spec, overrides or [])
    else:
        shown = 5 if shots is None else shots
        if model is None:
            raise fail("eval-no-model")
        measured = {"name": model, "adapters": adapter or []}
        texts = {"perplexity": perplexity or [], "answers": answers or []}
        text = _asked(measured, exam or [], path or [], shown, limit, subject or [], texts)
    typer.echo("reading", err=True)
    job = container.start_evaluation()(text)
    if detach:
        print(json.dumps({"run": job.id, "folder": job.folder}) if as_json else job.id)
        return
    typer.echo(f"run {job.id}", err=True)
    _follow(container, job, everything=everything, as_json=as_json)


def _follow(container: "Container", job: Job, *, everything: bool, as_json: bool) -> None:
    """Follow it to its end, then show what came out; exits with the run's own status."""
    from entrypoints.cli.follow import follow

    try:
        follow(container, job, as_json=False, stop_on_interrupt=True)
    finally:
        ended = container.find_run()(job.id)
        if ended.status is JobStatus.SUCCEEDED:
            _show(container, job.id, everything=everything, as_json=as_json)
        elif as_json:
            print(json.dumps({"status": ended.status.value, "errors": [ended.problem]}, indent=2))


def _asked(
    model: Mapping[str, object],
    exams: list[str],
    paths: list[str],
    shots: int,
    limit: int | None,
    subjects: list[str],
    texts: Mapping[str, list[str]],
) -> "SpecText":
    """The spec that options ask for."""
    from ports.spec_reader import SpecText

    if len(exams) != len(paths):
        place = Place(field="--path")
        raise fail("eval-exam-paths", place, exams=len(exams), paths=len(paths))
    spec = {
        "model": model,
        "exams": [
            {"name": name, "path": path, "shots": shots, "limit": limit, "subjects": subjects}
            for name, path in zip(exams, paths, strict=True)
        ],
        **{
            kind: [
                {"data": [{"path": path}], "title": f"{kind} {path}", "limit": limit}
                for path in paths
            ]
            for kind, paths in texts.items()
        },
    }
    return SpecText(text=json.dumps(spec), format="json", source="options")


@app.command("show")
def show(
    run: Run = "last",
    everything: Everything = False,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Show the results of a finished evaluation."""
    from entrypoints.container import make_container

    _show(make_container(runs), run, everything=everything, as_json=as_json)


@app.command("compare")
def compare(
    before: Annotated[str, typer.Argument(help="A finished evaluation.")],
    after: Annotated[str, typer.Argument(help="Another one.")],
    html: Annotated[str | None, typer.Option("--html", help="Write the report here.")] = None,
    everything: Everything = False,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Compare two evaluations on the items both asked."""
    from entrypoints.cli.eval_view import show_results
    from entrypoints.container import make_container

    container = make_container(runs)
    found = container.compare_evaluations()(before, after)
    if html is not None:
        container.eval_reports().write(html, f"{before} and {after}", found)
        typer.echo(f"wrote {html}", err=True)
    results = [each.as_json() for each in found]
    if as_json:
        print(json.dumps({"evaluations": results}, indent=2, ensure_ascii=False))
    else:
        show_results(results, everything=everything)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of an evaluation spec, for editors."""
    from entrypoints.container import make_container

    print(json.dumps(make_container().eval_spec_reader().json_schema(), indent=2))


def _show(container: "Container", run: str, *, everything: bool, as_json: bool) -> None:
    from entrypoints.cli.eval_view import show_results

    job = container.find_run().evaluated(run)
    text = container.jobs().read_text(job, "results.json") or "{}"
    if as_json:
        print(text)
    else:
        show_results(json.loads(text)["evaluations"], everything=everything)
