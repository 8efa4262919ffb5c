"""Keys in one JSON file beside the runs, readable by its owner only."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from domain.access import AccessKey, Scope

NAME = ".keys.json"


class FileKeyStore:
    """Implements ports.access.KeyStore over the folder of runs."""

    def __init__(self, runs: str) -> None:
        self._path = Path(runs).absolute() / NAME

    def all(self) -> Sequence[AccessKey]:
        """Keys as they are now, so that a removed one is refused at once."""
        try:
            listed = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            AccessKey(**{**values, "scopes": frozenset(map(Scope, values["scopes"]))})
            for values in listed
        ]

    def save(self, keys: Sequence[AccessKey]) -> None:
        """Write beside the file, then replace it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{NAME}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        listed = [{**asdict(key), "scopes": sorted(key.scopes)} for key in keys]
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(listed, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
