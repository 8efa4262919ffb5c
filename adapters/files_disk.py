"""Uploaded files as folders: <root>/<id>/file.json and its content, built aside and moved whole.

<root>/file-<hex>/content.jsonl     the content, its ending that of the name it came under
<root>/upload_<hex>/upload.json     an upload in parts, beside its parts
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from domain.budget import shown_bytes
from domain.errors import fail
from domain.files import LIMIT_BYTES, StoredFile, Upload, UploadStatus

NAME = ".files"
"""The folder's name beside the runs."""
FILE_ID = re.compile(r"file-[0-9a-f]{24,32}")
UPLOAD_ID = re.compile(r"upload_[0-9a-f]{24,32}")
ENDING = re.compile(r"\.(json|jsonl|csv|parquet|arrow|txt)(\.(gz|bz2|xz))?$")
"""Endings that say how rows are laid out; anything else is taken for JSON lines."""
PIECE_BYTES = 1 << 20


class DiskFiles:
    """Implements ports.files.FileStore and ports.files.UploadStore over one folder."""

    def __init__(self, runs: str, limit_bytes: int | None = None) -> None:
        self._root = Path(runs).absolute() / NAME
        self._limit_bytes = limit_bytes or LIMIT_BYTES

    def add(self, file: StoredFile, pieces: Iterable[bytes]) -> StoredFile:
        """Write content and record aside, then move them to their place."""
        self._root.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=self._root, prefix=".new-"))
        try:
            size_bytes, digest = self._write(building / _content_name(file.filename), pieces)
            stored = replace(file, size_bytes=size_bytes, sha256=digest)
            (building / "file.json").write_text(json.dumps(asdict(stored)), encoding="utf-8")
            # another writer of the same id was first: what is there stays
            with suppress(OSError):
                building.rename(self._root / file.id)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return self.get(file.id)

    def get(self, id: str) -> StoredFile:
        """The record."""
        return StoredFile(**json.loads((self._folder(id) / "file.json").read_text("utf-8")))

    def all(self) -> Sequence[StoredFile]:
        """Every record, by time."""
        ids = [path.parent.name for path in self._root.glob("file-*/file.json")]
        return sorted(map(self.get, ids), key=lambda file: (file.created_at, file.id))

    def path(self, id: str) -> str:
        """The content's path."""
        return str(next(self._folder(id).glob("content*")))

    def read(self, id: str) -> Iterator[bytes]:
        """The content in pieces."""
        return _pieces(Path(self.path(id)))

    def remove(self, id: str) -> None:
        """Take the folder out of sight first, so that nobody meets half of it."""
        gone = Path(tempfile.mkdtemp(dir=self._root, prefix=".gone-"))
        try:
            self._folder(id).rename(gone / id)
        finally:
            shutil.rmtree(gone)

    def save(self, upload: Upload) -> None:
        """Replace upload.json."""
        folder = self._root / upload.id
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / ".upload.json"
        beside.write_text(json.dumps(asdict(upload)), encoding="utf-8")
        beside.replace(folder / "upload.json")

    def load(self, id: str) -> Upload:
        """The record of an upload."""
        path = self._root / id / "upload.json"
        if not UPLOAD_ID.fullmatch(id) or not path.is_file():
            raise fail("upload-missing", id=id)
        values = json.loads(path.read_text("utf-8"))
        return Upload(**{**values, "status": UploadStatus(values["status"])})

    def add_part(self, upload: Upload, part_id: str, pieces: Iterable[bytes]) -> None:
        """Write a part aside, then give it its name."""
        folder = self._root / upload.id
        beside = folder / f".{part_id}"
        self._write(beside, pieces)
        beside.rename(folder / part_id)

    def part_sizes(self, upload: Upload) -> dict[str, int]:
        """Bytes of each part."""
        parts = (self._root / upload.id).glob("part_*")
        return {part.name: part.stat().st_size for part in parts}

    def joined(self, upload: Upload, part_ids: Sequence[str]) -> Iterator[bytes]:
        """One part after another."""
        for part_id in part_ids:
            yield from _pieces(self._root / upload.id / part_id)

    def drop_parts(self, upload: Upload) -> None:
        """Remove the parts; the record stays."""
        for part in (self._root / upload.id).glob("part_*"):
            part.unlink()

    def _folder(self, id: str) -> Path:
        folder = self._root / id
        if not FILE_ID.fullmatch(id) or not folder.is_dir():
            raise fail("file-missing", id=id)
        return folder

    def _write(self, path: Path, pieces: Iterable[bytes]) -> tuple[int, str]:
        """(bytes written, their SHA-256); nothing stays of what is larger than the limit."""
        digest, size_bytes = sha256(), 0
        with path.open("wb") as out:
            for piece in pieces:
                size_bytes += len(piece)
                if size_bytes > self._limit_bytes:
                    path.unlink()
                    raise fail("file-too-large", limit=shown_bytes(self._limit_bytes))
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        return size_bytes, digest.hexdigest()


def _content_name(filename: str) -> str:
    """The name content is stored under; row readers tell formats by the ending."""
    found = ENDING.search(filename.lower())
    return "content" + (found[0] if found else ".jsonl")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
