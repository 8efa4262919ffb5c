"""runs and stop: what was run here."""

import json
import time
from typing import Annotated

import typer

from entrypoints.cli.options import Json, Run, Runs


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("runs")(list_runs)
    app.command("stop")(stop)


def list_runs(runs: Runs = "runs", as_json: Json = False) -> None:
    """List runs, newest first."""
    from entrypoints.cli.render import table
    from entrypoints.container import make_container

    jobs = make_container(runs).find_run().all()
    if as_json:
        print(json.dumps([job.as_json() for job in jobs], indent=2))
        return
    if not jobs:
        typer.echo(f"no runs in {runs} yet; `tune new run.yaml` starts one", err=True)
        return
    rows = [
        (
            job.id,
            job.kind.value,
            job.status.value,
            str(job.total_steps),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_at)),
            job.spec_hash[:12],
        )
        for job in jobs
    ]
    print(table(rows, ("RUN", "KIND", "STATUS", "STEPS", "CREATED", "SPEC")))


def stop(
    run: Run,
    now: Annotated[bool, typer.Option("--now", help="End at once, without saving.")] = False,
    runs: Runs = "runs",
) -> None:
    """Ask a run to save a checkpoint and end."""
    from entrypoints.container import make_container

    job = make_container(runs).stop_run()(run, now=now)
    typer.echo(f"asked {job.id} to end; continue later with: tune resume {job.id}", err=True)
