"""A user's own DeepSpeed JSON, read from disk."""

import json
from collections.abc import Mapping
from pathlib import Path

from domain.errors import Place, fail
from domain.fingerprint import Json

PLACE = Place(field="parallelism.config")


def user_config(path: str | None) -> Mapping[str, Json] | None:
    """What the file says; None where none is named. Raises HextuneError where it is no JSON."""
    if path is None:
        return None
    file = Path(path).expanduser()
    if not file.is_file():
        raise fail("parallel-config-missing", PLACE, path=path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise fail("parallel-config-unreadable", PLACE, path=path, reason=error) from None
    if not isinstance(found, dict):
        raise fail("parallel-config-unreadable", PLACE, path=path, reason="it is no JSON object")
    return found
