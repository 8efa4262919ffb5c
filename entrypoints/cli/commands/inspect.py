"""doctor and methods: what this machine and installation can do."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from domain.budget import shown_bytes
from entrypoints.cli.options import Json

HEADINGS = ("METHOD", "WHAT IT IS")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)
    app.command("methods")(methods)


def doctor(as_json: Json = False) -> None:
    """Show versions, hardware, what is missing and how to get it."""
    from entrypoints.cli.render import table
    from entrypoints.container import make_container

    device, versions, findings = make_container().diagnose()()
    if as_json:
        found = {
            "device": asdict(device),
            "versions": dict(versions),
            "optional": [asdict(finding) for finding in findings],
        }
        print(json.dumps(found, indent=2))
        return
    memory = f"{shown_bytes(device.memory_bytes)}, {shown_bytes(device.free_bytes)} free"
    print(f"device  {device.name} ({device.kind.value}), {device.cores} cores, {memory}")
    print(f"dtypes  {', '.join(device.dtypes)}\n")
    print(table(sorted(versions.items()), ("PACKAGE", "VERSION")) + "\n")
    rows = [(item.name, item.status, item.detail, item.hint) for item in findings]
    print(table(rows, ("OPTIONAL", "STATUS", "WHAT FOR", "NEEDS")))


def methods(
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Plan each method with each feature, and show which.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show tuning methods, or with --matrix what each can be combined with."""
    from entrypoints.cli.render import table
    from entrypoints.container import make_container

    container = make_container()
    if not matrix:
        catalog = container.catalog()
        found = {name: catalog.summary("methods", name) for name in catalog.names("methods")}
        print(json.dumps(found, indent=2) if as_json else table(list(found.items()), HEADINGS))
        return
    cells = list(container.method_matrix()())
    if as_json:
        print(json.dumps([asdict(cell) for cell in cells], indent=2))
        return
    features = list(dict.fromkeys(cell.feature for cell in cells))
    shown: dict[str, list[str]] = {}
    for cell in cells:
        shown.setdefault(cell.method, []).append("yes" if not cell.rules else cell.rules[0])
    rows = [(method, *marks) for method, marks in shown.items()]
    print(table(rows, ("METHOD", *(feature.upper() for feature in features))))
