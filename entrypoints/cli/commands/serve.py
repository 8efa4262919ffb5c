"""serve http and serve grpc: the two network doors."""

from contextlib import closing
from typing import Annotated

import typer

from entrypoints.cli.options import Engine, Runs, Url

app = typer.Typer(help="Serve over HTTP or gRPC.", no_args_is_help=True, rich_markup_mode=None)

Host = Annotated[str, typer.Option(help="Address to listen on; others than loopback need a key.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="HEXTUNE_API_KEY", help="Key that every request must carry."),
]
Also = Annotated[
    list[str],
    typer.Option(help="Another run over the same base, served under its id; may be repeated."),
]
DEFAULT_MODEL = "builtin:smollm2-135m-instruct"


@app.command("http")
def http(
    model: Annotated[str, typer.Option(help="A finished run or a model.")] = DEFAULT_MODEL,
    also: Also = [],  # noqa: B006 - typer copies it
    engine: Engine = "transformers",
    url: Url = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    api_key: ApiKey = None,
    max_adapters: Annotated[
        int, typer.Option(min=1, help="Fine-tuned models loaded at once, beside the model's own.")
    ] = 8,
    max_file_mib: Annotated[
        int, typer.Option(min=1, help="Largest file that may be sent, in MiB.")
    ] = 512,
    runs: Runs = "runs",
) -> None:
    """Serve a model through OpenAI's API; ready when /health answers 200."""
    from entrypoints.container import make_container
    from entrypoints.http_api.app import serve

    container = make_container(runs)
    container.config.max_file_bytes.from_value(max_file_mib * 1024**2)
    serve(
        container,
        container.choose_engine()([model, *also], engine, url),
        host=host,
        port=port,
        api_key=api_key,
        max_adapters=max_adapters,
    )


@app.command("grpc")
def grpc(
    model: Annotated[
        str | None, typer.Option(help="A finished run or a model for Generate; none by default.")
    ] = None,
    also: Also = [],  # noqa: B006 - typer copies it
    engine: Engine = "transformers",
    url: Url = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 50051,
    api_key: ApiKey = None,
    runs: Runs = "runs",
) -> None:
    """Serve jobs, models and generation through gRPC."""
    from entrypoints.container import make_container
    from entrypoints.grpc_api.server import serve

    container = make_container(runs)
    if model is None:
        serve(container, host=host, port=port, engine=None, api_key=api_key)
        return
    with closing(container.choose_engine()([model, *also], engine, url)()) as opened:
        serve(container, host=host, port=port, engine=opened, api_key=api_key)
