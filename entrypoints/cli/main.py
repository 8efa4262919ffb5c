"""`tune`: the command line. Help prints without importing a framework; a test watches that."""

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from domain.errors import HextuneError
from entrypoints.cli.commands import (
    batch,
    data,
    data_free,
    evaluate,
    inspect,
    keys,
    model,
    monitor,
    runs,
    serve,
    train,
)

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}
"""Libraries keep their progress bars and advice to themselves; a user's own setting wins."""

app = typer.Typer(
    name="tune",
    help="Fine-tune, evaluate and serve open language models. `tune new run.yaml` starts one.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _part in (data_free, train, runs, model, monitor, inspect, batch):
    _part.register(app)
app.add_typer(serve.app, name="serve")
app.add_typer(keys.app, name="keys")
app.add_typer(data.app, name="data")
app.add_typer(evaluate.app, name="eval")
app.add_typer(model.app, name="model")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("hextune"))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Fine-tune, evaluate and serve open language models. `tune new run.yaml` starts one."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    logging.getLogger("DeepSpeed").disabled = True  # it writes to stdout


@app.command(hidden=True)
def worker(folder: str, resume: bool = False) -> None:
    """Train the run in FOLDER; doors start this, people use `tune train`."""
    from entrypoints.worker import work

    raise typer.Exit(work(folder, resume=resume))


def run() -> None:
    """Run the command line and exit with a documented status."""
    try:
        app()
    except HextuneError as error:
        from entrypoints.cli.errors import show_error

        show_error(error, as_json="--json" in sys.argv)
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
