"""plan, train, resume, watch: from a spec to a trained model."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from domain.job import Job
from domain.run_plan import Origin, RunPlan
from entrypoints.cli.options import Json, Overrides, Run, Runs, Spec

if TYPE_CHECKING:
    from entrypoints.container import Container

Detach = Annotated[
    bool, typer.Option("--detach", help="Start the run and return; `tune watch` attaches.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("plan")(plan)
    app.command("train")(train)
    app.command("resume")(resume)
    app.command("watch")(watch)


def plan(
    spec: Spec,
    overrides: Overrides = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show values left at their default, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a run will do, and why, without loading weights."""
    from entrypoints.container import make_container

    container = make_container()
    text = container.spec_reader().load(spec, overrides or [])
    made = container.plan_job()(text)
    if as_json:
        print(json.dumps(made.as_json(), indent=2, ensure_ascii=False))
        return
    from entrypoints.cli.pipeline_view import show_pipeline
    from entrypoints.cli.render import show_plan

    hidden = () if everything else (Origin.DEFAULT,)
    if isinstance(made, RunPlan):
        show_plan(made, hidden)
    else:
        show_pipeline(made, hidden)


def train(
    spec: Spec,
    overrides: Overrides = None,
    detach: Detach = False,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Fine-tune a model as a spec or pipeline says. Ctrl-C saves a checkpoint and ends the run."""
    from entrypoints.container import make_container

    container = make_container(runs)
    text = container.spec_reader().load(spec, overrides or [])
    typer.echo("planning", err=True)
    job = container.start_job()(text)
    _follow(container, job, detach=detach, as_json=as_json)


def resume(run: Run, detach: Detach = False, runs: Runs = "runs", as_json: Json = False) -> None:
    """Continue a stopped or failed run from its newest complete checkpoint."""
    from entrypoints.container import make_container

    container = make_container(runs)
    seen = max((e.seq for e in container.jobs().events(container.find_run()(run))), default=0)
    _follow(container, container.resume_run()(run), detach=detach, as_json=as_json, after_seq=seen)


def watch(run: Run = "last", runs: Runs = "runs", as_json: Json = False) -> None:
    """Follow a run that another process trains; Ctrl-C only stops watching."""
    from entrypoints.cli.follow import follow
    from entrypoints.container import make_container

    container = make_container(runs)
    follow(container, container.find_run()(run), as_json=as_json, stop_on_interrupt=False)


def _follow(
    container: "Container", job: Job, *, detach: bool, as_json: bool, after_seq: int = 0
) -> None:
    """Print the run's id, then follow it unless detached; exits with the run's own status."""
    from entrypoints.cli.follow import follow

    if detach:
        print(json.dumps({"run": job.id, "folder": job.folder}) if as_json else job.id)
        return
    typer.echo(f"run {job.id}", err=True)
    follow(container, job, as_json=as_json, stop_on_interrupt=True, after_seq=after_seq)
