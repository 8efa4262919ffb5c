"""merge, quantize, chat: what to do with a model; model convert and families: which there are."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from entrypoints.cli.options import Engine, Json, RunOrModel, Runs, Url

app = typer.Typer(
    help="Model families, and checkpoints of remote code made native.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("merge")(merge)
    app.command("quantize")(quantize)
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


def quantize(
    model: RunOrModel,
    output: Annotated[str, typer.Option("--output", help="Folder to write; new or empty.")],
    by: Annotated[
        str, typer.Option("--with", help="gptq, or bitsandbytes, which needs no texts.")
    ] = "gptq",
    bits: Annotated[int, typer.Option(help="Bits of a packed weight.")] = 4,
    group_size: Annotated[
        int, typer.Option(min=-1, help="gptq: weights that share a scale; -1 is a whole row.")
    ] = 128,
    calibration: Annotated[
        str | None, typer.Option(help="gptq: rows to calibrate on, a data file or builtin:NAME.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Rows to calibrate on.")] = 128,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Write a packed checkpoint of a run or a model, and say how far it is from the original."""
    from entrypoints.container import make_container
    from ports.packing import Packing

    report = make_container(runs).quantize_model()(
        model,
        output,
        by=by,
        asked=Packing(bits=bits, group_size=group_size),
        calibration=calibration,
        samples=samples,
    )
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    share = report.size_bytes / report.plain_bytes
    print(f"packed into {report.folder}: {report.size_bytes:,} bytes, {share:.0%} of the original")
    print(
        f"the original against packed, re-read, on {report.tokens} tokens: mean KL "
        f"{report.mean_kl:.3g} nats, the same likeliest token at {report.agreement:.0%}"
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
    engine: Engine = "transformers",
    url: Url = None,
    runs: Runs = "runs",
    as_json: Json = False,
) -> None:
    """Chat with a run or a model; /adapter switches the adapter off and on."""
    from domain.sampling import Sampling
    from entrypoints.cli.chatting import Chatting
    from entrypoints.container import make_container

    container = make_container(runs)
    open_engine = container.choose_engine()([model], engine, url)
    typer.echo(f"loading {model}", err=True)
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    with closing(open_engine()) as opened:
        chatting = Chatting(opened, sampling, system)
        if ask:
            chatting.answer_all(ask, compare=compare, as_json=as_json)
        else:
            chatting.talk()


@app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="Folder of the checkpoint.")],
    target: Annotated[str, typer.Argument(help="Folder to write; new or empty.")],
    as_json: Json = False,
) -> None:
    """Rewrite a checkpoint that needs its own code for a native class, without running the code.

    `tune list conversions` shows which are known.
    """
    from domain.budget import shown_bytes
    from entrypoints.container import make_container

    report = make_container().convert_model()(source, target)
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    size = f"{report.tensors} tensors, {shown_bytes(report.size_bytes)}, {report.shards} files"
    print(f"{report.source_type} -> {report.architecture} in {report.folder} ({size})")
    print(f"the same function up to {report.context_tokens} tokens")
    print(
        f"tokenizer: {report.tokenizer}"
        if report.tokenizer
        else "tokenizer: copied, but only code of its own reads it; add a tokenizer.json"
    )


@app.command("families")
def families(
    name: Annotated[str | None, typer.Argument(help="One family; all where not given.")] = None,
    as_json: Json = False,
) -> None:
    """Show model families: types, sizes, licence, template, and how they load."""
    from entrypoints.cli.render import table
    from entrypoints.container import make_container

    catalog = make_container().catalog()
    names = [name] if name else catalog.names("families")
    found = {each: catalog.description("families", each) for each in names}
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif name:
        facts = [(key, _shown(value)) for key, value in found[name].items()]
        print(table(facts, ("FACT", name.upper())))
    else:
        keys = ("model_type", "sizes", "licence", "template")
        rows = [
            (each, *(_shown(family[key]) for key in keys), _loads(family))
            for each, family in found.items()
        ]
        print(table(rows, ("FAMILY", "TYPE", "SIZES", "LICENCE", "TEMPLATE", "LOADS")))


def _shown(value: object) -> str:
    """A fact of a family in one cell; `-` where it is not known."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)


def _loads(family: Mapping[str, Any]) -> str:
    """How a model of the family comes into memory."""
    if family["native"]:
        return "native"
    if family["convertible"]:
        return "tune model convert"
    return f"see {family['successor']}" if family["successor"] else "remote code"
