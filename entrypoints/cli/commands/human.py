"""human: a person compares the answers of two models, without knowing whose is whose."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from domain.errors import fail
from domain.human_ratings import Choice, Pair, WinRates
from entrypoints.cli.options import Json, Runs

KEYS = {
    "a": Choice.FIRST,
    "b": Choice.SECOND,
    "t": Choice.TIE,
    "s": Choice.SKIP,
}
QUIT = ("q", "\x03", "\x04")
"""Keys that end a session; what was rated is kept."""
QUESTION = "better: [a] first, [b] second, [t]ie, [s]kip, [q]uit"

Models = Annotated[list[str], typer.Option("--model", help="A run or model; give two of them.")]
Prompts = Annotated[str, typer.Option("--prompts", help="File of rows to answer.")]
Output = Annotated[str, typer.Option("--output", help="Preference rows for the stage dpo go here.")]


def human(
    model: Models,
    prompts: Prompts,
    output: Output = "ratings.jsonl",
    seed: Annotated[int, typer.Option(help="Decides whose answer is shown first.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 256,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Compare two models blind; a key or a line answers, `q` leaves, the same call goes on."""
    from entrypoints.container import make_container
    from entrypoints.services.rate_answers import RatingRequest

    if len(model) != 2:
        raise fail("human-two-models", count=len(model))
    asked = RatingRequest(
        models=(model[0], model[1]),
        prompts=prompts,
        output=output,
        seed=seed,
        limit=limit,
        max_tokens=max_tokens,
    )

    def ask(pair: Pair, number: int, count: int) -> Choice | None:
        _show(pair, seed, number, count)
        return _choice()

    found = make_container(runs).rate_answers()(asked, ask, _progress)
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if as_json else _told(found))
    typer.echo(f"wrote {output}", err=True)


def _progress(model: str, done: int, count: int) -> None:
    typer.echo(f"{model}: {done}/{count} answered", err=True)


def _show(pair: Pair, seed: int, number: int, count: int) -> None:
    """The question and both answers, on stderr as all talk; no name of a model."""
    said = "\n".join(f"{turn['role']}: {turn['content']}" for turn in pair.prompt)
    first, second = (pair.answers[model] for model in pair.shown(seed))
    rule = "-" * 8
    typer.echo(f"\n{rule} {number} of {count} {rule}\n{said}", err=True)
    typer.echo(f"\n{rule} a {rule}\n{first}\n\n{rule} b {rule}\n{second}\n", err=True)


def _choice() -> Choice | None:
    """A key where there is a keyboard, else a line; None to leave, or at the end of the input."""
    import click

    while True:
        typer.echo(QUESTION, err=True)
        said = click.getchar() if sys.stdin.isatty() else sys.stdin.readline()
        key = said.strip(" \r\n").lower()[:1]
        if not said or key in QUIT:
            return None
        if key in KEYS:
            return KEYS[key]


def _told(found: WinRates) -> str:
    from entrypoints.cli.eval_view import figure
    from entrypoints.cli.render import table

    rows = [
        (
            model,
            str(won),
            figure("accuracy", asdict(found.rates[model])) if model in found.rates else "-",
        )
        for model, won in found.wins.items()
    ]
    counts = f"{found.ties} ties, {found.skipped} skipped, {found.unrated} left"
    return f"{table(rows, ('MODEL', 'WINS', 'WIN RATE'))}\n{counts}; p = {found.p_value:.3g}"
