"""Options that several commands share."""

from typing import Annotated

import typer

Runs = Annotated[
    str, typer.Option("--runs", envvar="HEXTUNE_RUNS", help="Folder that holds the runs.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, errors too.")]
Engine = Annotated[
    str, typer.Option(help="transformers, vllm, echo, or remote with --url; `tune list engines`.")
]
Url = Annotated[
    str | None,
    typer.Option(help="With --engine remote: the server's address, such as http://HOST:8000/v1."),
]
Spec = Annotated[str, typer.Argument(help="Spec file: YAML, TOML or JSON.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="section.key=value, such as method.rank=16.")
]
Run = Annotated[str, typer.Argument(help="Run id, its unique beginning, its folder, or `last`.")]
RunOrModel = Annotated[
    str, typer.Argument(help="A finished run, a model folder, a hub id or builtin:NAME.")
]
Language = Annotated[
    str | None,
    typer.Option("--language", envvar="HEXTUNE_LANGUAGE", help="en, ru or zh; else the locale's."),
]
