"""serve http and serve grpc: the two network doors."""

from typing import Annotated

import typer

from entrypoints.cli.options import Runs

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
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    api_key: ApiKey = None,
    runs: Runs = "runs",
) -> None:
    """Serve a model through OpenAI's API; ready when /health answers 200."""
    from entrypoints.container import make_container
    from entrypoints.http_api.app import serve

    container = make_container(runs)
    resolved = container.resolve_model().together([model, *also])
    serve(
        container,
        lambda: container.open_engine(resolved),
        host=host,
        port=port,
        api_key=api_key,
    )


@app.command("grpc")
def grpc(
    model: Annotated[
        str | None, typer.Option(help="A finished run or a model for Generate; none by default.")
    ] = None,
    also: Also = [],  # noqa: B006 - typer copies it
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 50051,
    api_key: ApiKey = None,
    runs: Runs = "runs",
) -> None:
    """Serve jobs, models and generation through gRPC."""
    from entrypoints.container import make_container
    from entrypoints.grpc_api.server import serve

    container = make_container(runs)
    resolved = container.resolve_model().together([model, *also]) if model else None
    engine = container.open_engine(resolved) if resolved else None
    serve(container, host=host, port=port, engine=engine, api_key=api_key)
