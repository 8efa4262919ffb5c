"""data check, show, stats, convert, import, list: know what is trained before it is."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import fail
from entrypoints.cli.options import Json, Overrides

app = typer.Typer(
    help="Look at data: what is used, how long it is, which tokens are trained.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[str, typer.Argument(help="A spec, or a data file or folder.")]
Model = Annotated[str, typer.Option(help="For a data file: the model whose template is used.")]
Layout = Annotated[
    str, typer.Option("--format", help="For a data file: how its rows are laid out.")
]
DEFAULT_MODEL = "builtin:smollm2-135m-instruct"


def _spec(container: Any, source: str, overrides: list[str], model: str, layout: str) -> Any:
    """The spec in `source`, or one around the data file `source`."""
    from ports.spec_reader import SpecText

    reader = container.spec_reader()
    if _is_spec(source):
        return reader.read(reader.load(source, overrides)).spec
    wrapped = {"model": {"name": model}, "data": {"train": [{"path": source, "format": layout}]}}
    text = json.dumps(wrapped)
    return reader.read(
        SpecText(text=text, format="json", source="command line", overrides=tuple(overrides))
    ).spec


def _is_spec(source: str) -> bool:
    path = Path(source)
    if path.suffix in (".yaml", ".yml", ".toml"):
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(4096).lstrip().startswith("{")


@app.command("check")
def check(
    source: Source,
    overrides: Overrides = None,
    model: Model = DEFAULT_MODEL,
    layout: Layout = "auto",
    as_json: Json = False,
) -> None:
    """Report rows kept and dropped with reasons, lengths, trained share, duplicates, template.

    Ends with 0 where every row can be trained on as it is, else with 1.
    """
    from entrypoints.cli.data_view import show_report
    from entrypoints.container import make_container

    container = make_container()
    report = container.inspect_data().report(
        _spec(container, source, overrides or [], model, layout)
    )
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        show_report(report)
    raise typer.Exit(0 if report.clean else 1)


@app.command("show")
def show(
    source: Source,
    overrides: Overrides = None,
    row: Annotated[int, typer.Option(min=1, help="First row to show.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many rows.")] = 1,
    ids: Annotated[bool, typer.Option("--ids", help="Show token ids.")] = False,
    model: Model = DEFAULT_MODEL,
    layout: Layout = "auto",
    as_json: Json = False,
) -> None:
    """Show rows as they are trained, with the trained tokens marked."""
    from entrypoints.cli.data_view import show_row
    from entrypoints.container import make_container

    container = make_container()
    spec = _spec(container, source, overrides or [], model, layout)
    for shown in container.inspect_data().show(spec, row, count):
        if as_json:
            pieces = [{"text": t, "id": i, "trained": trained} for t, i, trained in shown.pieces]
            found = {"file": shown.file, "line": shown.line, "tokens": pieces}
            print(json.dumps(found, ensure_ascii=False))
        else:
            show_row(shown, ids=ids)


@app.command("stats")
def stats(
    source: Source,
    overrides: Overrides = None,
    model: Model = DEFAULT_MODEL,
    layout: Layout = "auto",
    png: Annotated[str | None, typer.Option(help="Write the histogram as a picture, too.")] = None,
    as_json: Json = False,
) -> None:
    """Show histograms of lengths in tokens."""
    from domain.data_report import histogram
    from entrypoints.cli.data_view import show_histogram
    from entrypoints.container import make_container

    container = make_container()
    report = container.inspect_data().report(
        _spec(container, source, overrides or [], model, layout)
    )
    if png is not None:
        container.reports().histogram(png, report.lengths, report.limit)
    if as_json:
        bins = {"lengths": histogram(report.lengths, 20), "trained": histogram(report.trained, 20)}
        print(json.dumps({**bins, "percentiles": dict(report.percentiles)}))
        return
    show_histogram("tokens in a row", report.lengths)
    show_histogram("trained tokens in a row", report.trained)


@app.command("convert")
def convert(
    source: Source,
    output: Annotated[str, typer.Option("--output", help="JSON lines file to write.")],
    overrides: Overrides = None,
    layout: Layout = "auto",
) -> None:
    """Write the rows in the paper's standardized structure."""
    from entrypoints.container import make_container

    target = Path(output)
    if target.exists():
        raise fail("file-exists", path=output)
    container = make_container()
    spec = _spec(container, source, overrides or [], DEFAULT_MODEL, layout)
    rows = list(container.inspect_data().standard(spec))
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    target.write_text("".join(lines), encoding="utf-8")
    typer.echo(f"wrote {len(rows)} rows to {output}", err=True)


@app.command("import")
def import_descriptions(
    path: Annotated[str, typer.Argument(help="LLaMA-Factory's dataset_info.json.")],
    output: Annotated[
        str, typer.Option("--output", help="Folder for the descriptions.")
    ] = "datasets",
) -> None:
    """Convert dataset_info.json to one description file for each dataset."""
    from domain.dataset_info import import_entry

    file = Path(path)
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise fail("data-file-missing", path=path, folder=Path.cwd()) from None
    except ValueError as error:
        raise fail("data-file-broken", path=path, reason=error) from None
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        imported = import_entry(entry, str(file.parent))
        target = folder / f"{name}.json"
        target.write_text(json.dumps(imported.source, indent=2, ensure_ascii=False) + "\n")
        for note in imported.notes:
            print(f"{name}: {note}", file=sys.stderr)
    typer.echo(f"wrote {len(entries)} descriptions to {output}", err=True)


@app.command("list")
def list_datasets(
    folder: Annotated[str, typer.Argument(help="Folder of description files.")] = "datasets",
    as_json: Json = False,
) -> None:
    """List the built-in datasets and the descriptions of a folder."""
    from entrypoints.container import make_container

    catalog = make_container().catalog()
    found = {f"builtin:{n}": catalog.summary("datasets", n) for n in catalog.names("datasets")}
    for path in sorted(Path(folder).glob("*.json")) + sorted(Path(folder).glob("*.yaml")):
        found[str(path)] = "description file"
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, summary in found.items():
        print(f"{name:40} {summary}")
