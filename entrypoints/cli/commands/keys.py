"""keys: who may use the network doors of a folder of runs."""

import json
import time
from typing import Annotated

import typer

from entrypoints.cli.options import Json, Runs

app = typer.Typer(
    help="Keys of the network doors: several, each with scopes, kept as sums only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Whose key it is.")]


@app.command("add")
def add(
    name: Name,
    scope: Annotated[
        str, typer.Option(help="read, infer, train or admin; several are joined by commas.")
    ] = "infer",
    runs: Runs = "runs",
) -> None:
    """Make a key and print it; it cannot be shown again."""
    from entrypoints.container import make_container

    print(make_container(runs).manage_keys().add(name, scope))
    typer.echo("keep it: only its SHA-256 is on record", err=True)


@app.command("list")
def list_keys(runs: Runs = "runs", as_json: Json = False) -> None:
    """List keys with their scopes."""
    from entrypoints.cli.render import table
    from entrypoints.container import make_container

    rows = [
        (
            key.name,
            ",".join(sorted(key.scopes)),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(key.created_at)),
        )
        for key in make_container(runs).manage_keys().all()
    ]
    if as_json:
        names = ("name", "scopes", "created")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    elif rows:
        print(table(rows, ("NAME", "SCOPES", "CREATED")))
    else:
        typer.echo(f"no keys in {runs}; `tune keys add NAME` makes one", err=True)


@app.command("remove")
def remove(name: Name, runs: Runs = "runs") -> None:
    """Take a key's rights away; running servers heed it at once."""
    from entrypoints.container import make_container

    make_container(runs).manage_keys().remove(name)
