"""The HTTP door over runs that are played by fakes, with files and keys in a test's folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from dependency_injector import providers

from adapters.access_file import FileKeyStore
from adapters.files_disk import DiskFiles
from adapters.row_sources import SourceRowReader
from entrypoints.container import Container
from tests.fakes.container import fake_container

Rows = Sequence[Mapping[str, Any]]


def chat_row(question: str = "one", answer: str = "two") -> dict[str, Any]:
    """A row to train on, as OpenAI writes it."""
    said = (("user", question), ("assistant", answer))
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def pair_row() -> dict[str, Any]:
    """A row to prefer by, as OpenAI writes it."""
    return {
        "input": {"messages": [{"role": "user", "content": "one"}]},
        "preferred_output": [{"role": "assistant", "content": "two"}],
        "non_preferred_output": [{"role": "assistant", "content": "three"}],
    }


def lines(rows: Rows) -> bytes:
    """Rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def tuning_container(folder: Path, limit_bytes: int | None = None) -> Container:
    """A container over fakes that reads real files and keeps files and keys under `folder`."""
    container = fake_container()
    for name, made in {
        "rows": SourceRowReader(container.catalog()),
        "files": DiskFiles(str(folder), limit_bytes),
        "keys": FileKeyStore(str(folder)),
    }.items():
        getattr(container, name).override(providers.Object(made))
    container.config.max_file_bytes.from_value(limit_bytes)
    return container


def error_in(reply: httpx.Response) -> dict[str, Any]:
    """The error a reply carries."""
    found: dict[str, Any] = reply.json()["error"]
    return found
