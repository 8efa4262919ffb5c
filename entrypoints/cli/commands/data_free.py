"""Commands that need no model and no run: new, schema, list, explain, help."""

import difflib
import json
from pathlib import Path
from typing import Annotated

import typer

from domain.error_texts import TEXTS
from domain.errors import EXIT_MEANINGS, fail
from entrypoints.cli.options import Json

TOPICS = ("exit-codes", "overrides", "runs")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("new")(new)
    app.command("schema")(schema)
    app.command("list")(list_parts)
    app.command("explain")(explain)
    app.command("help")(help_topic)


def new(
    path: Annotated[str, typer.Argument(help="File to write.")] = "run.yaml",
    recipe: Annotated[str, typer.Option(help="Starter; `tune list recipes` shows them.")] = "lora",
) -> None:
    """Write a commented starter spec."""
    from entrypoints.container import make_container

    text = make_container().catalog().description("recipes", recipe)["text"]
    target = Path(path)
    if target.exists():
        raise fail("file-exists", path=path)
    target.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {path}; next: tune plan {path}", err=True)


def schema() -> None:
    """Print the JSON Schema of a spec, for editors."""
    from entrypoints.container import make_container

    print(json.dumps(make_container().spec_reader().json_schema(), indent=2))


def list_parts(
    kind: Annotated[str | None, typer.Argument(help="Kind of part, such as methods.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be chosen by name."""
    from entrypoints.container import make_container

    catalog = make_container().catalog()
    kinds = catalog.kinds()
    if kind is not None and kind not in kinds:
        raise fail(
            "topic-unknown", kind="kind", name=kind, suggestion=f"Known: {', '.join(kinds)}."
        )
    found = {
        each: {name: catalog.summary(each, name) for name in catalog.names(each)}
        for each in ([kind] if kind else kinds)
    }
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for each, names in found.items():
        print(each)
        for name, summary in names.items():
            print(f"  {name:24} {summary}")


def explain(code: Annotated[str, typer.Argument(help="An error's code.")]) -> None:
    """Explain an error code."""
    if code not in TEXTS:
        nearest = difflib.get_close_matches(code, TEXTS, n=1)
        hint = f"Did you mean `{nearest[0]}`?" if nearest else f"Known: {', '.join(TEXTS)}."
        raise fail("topic-unknown", kind="error code", name=code, suggestion=hint)
    text = TEXTS[code]
    print(f"{code}\n\n{text.message}\n\nhint: {text.hint}\n\nexit code {text.exit_code}")


def help_topic(
    context: typer.Context,
    topic: Annotated[str | None, typer.Argument(help=f"One of {', '.join(TOPICS)}.")] = None,
) -> None:
    """Explain a topic: exit-codes, overrides or runs."""
    texts = {
        "exit-codes": "\n".join(f"{code:3}  {text}" for code, text in EXIT_MEANINGS.items()),
        "overrides": OVERRIDES,
        "runs": RUNS,
    }
    if topic is None:
        print(context.find_root().get_help())
    elif topic in texts:
        print(texts[topic])
    else:
        known = f"Known: {', '.join(TOPICS)}."
        raise fail("topic-unknown", kind="topic", name=topic, suggestion=known)


OVERRIDES = """\
Anything in a spec can be set on the command line, after the file:

  tune train run.yaml method.rank=16 data.max_samples=200 data.train.0.path=rows.jsonl

Values are read as YAML, so 2e-4 is a number, [a, b] a list and null nothing. Types are checked.
An override wins over the file, and `tune plan` shows which value came from where."""

RUNS = """\
A run is a folder under --runs (or HEXTUNE_RUNS, or ./runs): spec, plan, manifest, events,
checkpoints, result and report. It is trained by a process of its own, which outlives the terminal.
Name a run by its id, by the beginning of its id, by its folder, or as `last`."""
