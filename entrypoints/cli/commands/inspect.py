"""doctor: what this machine and installation can do."""

import json
from dataclasses import asdict

import typer

from domain.budget import shown_bytes
from entrypoints.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)


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
