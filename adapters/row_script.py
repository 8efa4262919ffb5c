"""Rows of a Python loading script, which is run only where its source says that it is trusted.

Such a script defines one `datasets.DatasetBuilder`, as the hub's loading scripts did. `datasets` no
longer runs scripts itself; its builder classes are public and do the rest.
"""

import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from domain.dataset import DataSource, LocatedRow
from domain.errors import HextuneError, Place, fail

SCRIPT = ".py"
Row = Mapping[str, object]


def script_rows(source: DataSource, path: str) -> Iterator[LocatedRow]:
    """Rows of the source's split; `subset` is the builder's configuration.

    Raises HextuneError where the script is not trusted, and for whatever goes wrong in it.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise fail("data-file-missing", path=path, folder=Path.cwd())
    if not source.trust_script:
        raise fail("data-script-untrusted", Place(file=path), path=path)
    with TemporaryDirectory(prefix="hextune-script-") as folder:
        try:
            for number, values in enumerate(_talking_aside(_examples(file, source, folder)), 1):
                yield LocatedRow(values=values, file=path, line=number)
        except HextuneError:
            raise
        except (Exception, SystemExit) as error:  # a script raises what it likes
            raise _failed(error, file, path) from None


def _talking_aside(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, while what the script prints goes to stderr: stdout is for data."""
    while True:
        with redirect_stdout(sys.stderr):
            row = next(rows, None)
        if row is None:
            return
        yield row


def _builder_class(file: Path, source: DataSource) -> Any:
    """The one builder that the script defines itself."""
    from datasets import DatasetBuilder

    module = ModuleType(f"hextune_script_{sha256(str(file.resolve()).encode()).hexdigest()[:16]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # `datasets` imports a builder's module by its name
    exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    found = {
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, DatasetBuilder)
        and value.__module__ == module.__name__
    }
    if len(found) != 1:
        names = ", ".join(sorted(cls.__name__ for cls in found)) or "none"
        raise fail("data-script-builder", Place(file=source.name), path=source.name, found=names)
    return found.pop()


def _examples(file: Path, source: DataSource, folder: str) -> Iterator[Row]:
    """Rows as they are generated, or prepared in `folder` where a script cannot be streamed."""
    builder = _builder_class(file, source)(
        cache_dir=folder, config_name=source.subset, base_path=str(file.parent)
    )
    try:
        rows = builder.as_streaming_dataset(split=source.split)
    except NotImplementedError:  # so `datasets` says that a kind of archive cannot be streamed
        builder.download_and_prepare()
        rows = builder.as_dataset(split=source.split)
    yield from rows


def _failed(error: BaseException, file: Path, path: str) -> HextuneError:
    """What a script raised, with the last line of it that was reached."""
    from datasets.exceptions import DatasetGenerationError

    if isinstance(error, DatasetGenerationError) and error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines.append(error.lineno)
    text = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = Place(file=path, line=lines[-1] if lines else None)
    return fail("data-script-failed", place, path=path, reason=reason)
