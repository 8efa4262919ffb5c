"""monitor: the terminal UI."""

import sys
from typing import Annotated

import typer

from entrypoints.cli.options import Language, Runs


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("monitor")(monitor)


def monitor(
    run: Annotated[str | None, typer.Argument(help="Run to open first.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the runs as text and exit.")] = False,
    language: Language = None,
    runs: Runs = "runs",
) -> None:
    """Watch runs in a terminal UI; closing it leaves them alone."""
    from entrypoints.cli.errors import wanted_language
    from entrypoints.container import make_container

    container = make_container(runs)
    chosen = container.translator().choose(language or wanted_language())
    if once or not sys.stdout.isatty():
        from entrypoints.tui.once import snapshot_text

        print(snapshot_text(container, chosen))
        return
    from entrypoints.tui.app import run_monitor

    run_monitor(container, language=chosen, run=run)
