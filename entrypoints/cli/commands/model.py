"""merge and chat: what to do with a trained model."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from entrypoints.cli.options import Json, RunOrModel, Runs


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("merge")(merge)
    app.command("chat")(chat)


def merge(
    run: RunOrModel,
    output: Annotated[str, typer.Option("--output", help="Folder to write; new or empty.")],
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Dtype of the merged weights; the base model's own where not set."),
    ] = None,
    max_difference: Annotated[
        float | None, typer.Option(help="Largest logit difference to accept, instead of ours.")
    ] = None,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Merge a run's adapter into its base, and prove the result is the trained model."""
    from entrypoints.container import make_container

    report = make_container(runs).merge_model()(run, output, dtype, max_difference)
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    print(f"merged into {report.folder} ({report.dtype})")
    print(
        f"base + adapter against merged, re-read, on {report.tokens} tokens: "
        f"largest logit difference {report.max_difference:.3g}, mean KL {report.mean_kl:.3g} nats"
    )


def chat(
    model: RunOrModel = "builtin:smollm2-135m-instruct",
    ask: Annotated[
        list[str] | None, typer.Option("--ask", help="Ask this and exit; may be repeated.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="With --ask: answer with the adapter off, then on.")
    ] = False,
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 is greedy.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer in tokens.")] = 512,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.")] = None,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Chat with a run or a model; /adapter switches the adapter off and on."""
    from domain.sampling import Sampling
    from entrypoints.cli.chatting import Chatting
    from entrypoints.container import make_container

    container = make_container(runs)
    resolved = container.resolve_model()(model)
    typer.echo(f"loading {resolved.handle.name}", err=True)
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    chatting = Chatting(container.open_engine(resolved), sampling, system)
    if ask:
        chatting.answer_all(ask, compare=compare, as_json=as_json)
    else:
        chatting.talk()
