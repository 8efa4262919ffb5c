"""Files that doors take in: stored, checked where they are to be trained on, listed, removed."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import md5

from domain.dataset import DataSource, LocatedRow
from domain.errors import HextuneError, Place, fail
from domain.files import StoredFile, Upload, UploadPart, UploadStatus
from domain.fine_tuning import in_callers_words
from domain.media import MediaFile, MediaKind
from domain.run_spec import DataSection
from entrypoints.services.align_data import AlignData
from ports.datasets import RowReader
from ports.files import FileStore, UploadStore
from ports.surroundings import Surroundings

TRAINED_ON = "fine-tune"


@dataclass(frozen=True, slots=True)
class ManageFiles:
    """Uploaded files; those that have expired are gone."""

    files: FileStore
    reader: RowReader
    surroundings: Surroundings

    def add(
        self,
        filename: str,
        purpose: str,
        pieces: Iterable[bytes],
        lasts_s: int | None = None,
    ) -> StoredFile:
        """A new file. Raises HextuneError for rows that cannot be used, each with its line."""
        now = self.surroundings.now()
        stored = self.files.add(
            StoredFile(
                id=f"file-{uuid.uuid4().hex[:24]}",
                filename=filename,
                purpose=purpose,
                created_at=now,
                expires_at=None if lasts_s is None else now + lasts_s,
            ),
            pieces,
        )
        if purpose == TRAINED_ON:
            try:
                self.check_rows(stored)
            except HextuneError:
                self.files.remove(stored.id)
                raise
        return stored

    def check_rows(self, file: StoredFile) -> None:
        """Align every row, whatever layout it is of. Raises HextuneError for all faults."""
        path = self.files.path(file.id)
        try:
            first = next(iter(self.reader.read(DataSource(path=path))), None)
            source = DataSource(path=path, prompts=_asks(first.values) if first else None)
            AlignData(_WithoutMedia(self.reader))(DataSection(train=(source,)), 0)
        except HextuneError as error:
            raise in_callers_words(error, {path: ("file", file.filename)}) from None

    def get(self, id: str) -> StoredFile:
        """A file. Raises HextuneError where there is none, or it has expired."""
        file = self.files.get(id)
        if file.expires_at is not None and file.expires_at <= self.surroundings.now():
            self.files.remove(id)
            raise fail("file-missing", id=id)
        return file

    def all(self, purpose: str | None = None) -> Sequence[StoredFile]:
        """Files of a purpose, or all of them, oldest first."""
        now = self.surroundings.now()
        return [
            file
            for file in self.files.all()
            if purpose in (None, file.purpose) and (file.expires_at or now + 1) > now
        ]

    def read(self, id: str) -> Iterator[bytes]:
        """The content in pieces."""
        return self.files.read(self.get(id).id)

    def remove(self, id: str) -> None:
        """Remove a file."""
        self.files.remove(self.get(id).id)


def _asks(values: Mapping[str, object]) -> bool | None:
    """Whether a row of messages ends with a question; None leaves it to the columns."""
    turns = values.get("messages")
    last = turns[-1] if isinstance(turns, list) and turns else None
    return (isinstance(last, Mapping) and last.get("role") == "user") or None


@dataclass(frozen=True, slots=True)
class _WithoutMedia:
    """Implements ports.datasets.RowReader: rows that name no files.

    A path in a row is one of this machine's disk, where whoever sends rows owns nothing.
    """

    reader: RowReader

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        """The rows."""
        return self.reader.read(source)

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        """Why the file is not looked at."""
        return f"uploaded rows cannot name a file ({kind.value}) of this machine"


@dataclass(frozen=True, slots=True)
class ManageUploads:
    """Files that come in parts."""

    uploads: UploadStore
    files: ManageFiles
    surroundings: Surroundings

    def begin(self, filename: str, purpose: str, size_bytes: int, lasts_s: int | None) -> Upload:
        """A new upload, which waits an hour for its parts."""
        upload = Upload(
            id=f"upload_{uuid.uuid4().hex}",
            filename=filename,
            purpose=purpose,
            size_bytes=size_bytes,
            created_at=self.surroundings.now(),
            lasts_s=lasts_s,
        )
        self.uploads.save(upload)
        return upload

    def add_part(self, id: str, pieces: Iterable[bytes]) -> UploadPart:
        """A new part. Raises HextuneError where the upload takes none any more."""
        upload = self._pending(id)
        part_id = f"part_{uuid.uuid4().hex}"
        self.uploads.add_part(upload, part_id, pieces)
        return UploadPart(id=part_id, upload_id=id, created_at=self.surroundings.now())

    def complete(
        self, id: str, part_ids: Sequence[str], md5_sum: str | None
    ) -> tuple[Upload, StoredFile]:
        """The file of the parts in that order. Raises HextuneError where they do not make it."""
        upload = self._pending(id)
        sizes = self.uploads.part_sizes(upload)
        for number, part_id in enumerate(part_ids):
            if part_id not in sizes:
                field = f"part_ids[{number}]"
                reason = "the upload has no such part"
                raise fail("request-bad-field", Place(field=field), field=field, reason=reason)
        found = sum(sizes[part_id] for part_id in part_ids)
        if found != upload.size_bytes:
            raise fail("upload-size-differs", found=found, wanted=upload.size_bytes)
        if md5_sum is not None:
            self._check_sum(upload, part_ids, md5_sum)
        pieces = self.uploads.joined(upload, part_ids)
        file = self.files.add(upload.filename, upload.purpose, pieces, upload.lasts_s)
        done = replace(upload, status=UploadStatus.COMPLETED, file_id=file.id)
        self._close(done)
        return done, file

    def cancel(self, id: str) -> Upload:
        """Drop an upload and its parts."""
        cancelled = replace(self._pending(id), status=UploadStatus.CANCELLED)
        self._close(cancelled)
        return cancelled

    def _check_sum(self, upload: Upload, part_ids: Sequence[str], wanted: str) -> None:
        digest = md5(usedforsecurity=False)
        for piece in self.uploads.joined(upload, part_ids):
            digest.update(piece)
        if digest.hexdigest() != wanted.lower():
            raise fail("upload-sum-differs", found=digest.hexdigest(), wanted=wanted)

    def _close(self, upload: Upload) -> None:
        self.uploads.save(upload)
        self.uploads.drop_parts(upload)

    def _pending(self, id: str) -> Upload:
        upload = self.uploads.load(id)
        if upload.status is UploadStatus.PENDING and (upload.expires_at <= self.surroundings.now()):
            upload = replace(upload, status=UploadStatus.EXPIRED)
            self._close(upload)
        if upload.status is not UploadStatus.PENDING:
            raise fail("upload-closed", id=id, status=upload.status.value)
        return upload
