"""Files, uploads and keys in memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from domain.access import AccessKey
from domain.errors import fail
from domain.files import StoredFile, Upload


class FakeFiles:
    """Implements ports.files.FileStore and ports.files.UploadStore."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[StoredFile, bytes]] = {}
        self.uploads: dict[str, Upload] = {}
        self.parts: dict[str, dict[str, bytes]] = {}

    def add(self, file: StoredFile, pieces: Iterable[bytes]) -> StoredFile:
        content = b"".join(pieces)
        stored = replace(file, size_bytes=len(content), sha256=sha256(content).hexdigest())
        return self.files.setdefault(file.id, (stored, content))[0]

    def get(self, id: str) -> StoredFile:
        if id not in self.files:
            raise fail("file-missing", id=id)
        return self.files[id][0]

    def all(self) -> Sequence[StoredFile]:
        return sorted((file for file, _ in self.files.values()), key=lambda f: f.created_at)

    def path(self, id: str) -> str:
        return self.get(id).id

    def read(self, id: str) -> Iterator[bytes]:
        self.get(id)
        return iter([self.files[id][1]])

    def remove(self, id: str) -> None:
        del self.files[self.get(id).id]

    def save(self, upload: Upload) -> None:
        self.uploads[upload.id] = upload

    def load(self, id: str) -> Upload:
        if id not in self.uploads:
            raise fail("upload-missing", id=id)
        return self.uploads[id]

    def add_part(self, upload: Upload, part_id: str, pieces: Iterable[bytes]) -> None:
        self.parts.setdefault(upload.id, {})[part_id] = b"".join(pieces)

    def part_sizes(self, upload: Upload) -> dict[str, int]:
        return {name: len(part) for name, part in self.parts.get(upload.id, {}).items()}

    def joined(self, upload: Upload, part_ids: Sequence[str]) -> Iterator[bytes]:
        return iter([self.parts[upload.id][part_id] for part_id in part_ids])

    def drop_parts(self, upload: Upload) -> None:
        self.parts.pop(upload.id, None)


class FakeKeyStore:
    """Implements ports.access.KeyStore."""

    def __init__(self) -> None:
        self.kept: list[AccessKey] = []

    def all(self) -> Sequence[AccessKey]:
        return list(self.kept)

    def save(self, keys: Sequence[AccessKey]) -> None:
        self.kept = list(keys)
