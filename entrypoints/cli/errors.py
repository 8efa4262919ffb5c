"""Errors on the terminal: `error: ...`, a blank line, `hint: ...`; or JSON where asked for."""

import json
import os
import sys
from collections.abc import Sequence

from domain.errors import HextuneError, Problem


def show_error(error: HextuneError, *, as_json: bool) -> None:
    """Write every problem to stderr; as JSON to stdout, where a program reads."""
    if as_json:
        print(json.dumps({"errors": [found.as_json() for found in error.problems]}, indent=2))
        return
    print("\n\n".join(_lines(error.problems)), file=sys.stderr)
    if len(error.problems) > 1:
        print(f"\n{len(error.problems)} problems; nothing was started.", file=sys.stderr)


def _lines(problems: Sequence[Problem]) -> list[str]:
    texts = []
    for found in problems:
        message, hint = translated(found)
        where = f"{found.place}: " if str(found.place) else ""
        texts.append(f"error: {where}{message} [{found.code}]\n\nhint: {hint}")
    return texts


def translated(found: Problem) -> tuple[str, str]:
    """Message and hint in the language of HEXTUNE_LANGUAGE or of the terminal's locale."""
    from entrypoints.container import make_container

    translator = make_container().translator()
    texts: tuple[str, str] = translator.problem(translator.choose(wanted_language()), found)
    return texts


def wanted_language() -> str | None:
    """What the environment asks for, or None."""
    names = ("HEXTUNE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
