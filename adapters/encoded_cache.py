"""Encoded rows in the user's cache folder, as plain numpy arrays (no pickle)."""

import itertools
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adapters.models.builtin import cache_folder
from domain.masking import IGNORED, EncodedRow

ROOM_BYTES = 4 * 1024**3
"""Room on disk; the parts used longest ago are removed."""


class FileEncodedCache:
    """Implements ports.encoded_cache.EncodedCache."""

    def __init__(self, folder: Path | None = None, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._folder = folder or cache_folder() / "encoded"

    def load(self, key: str) -> Sequence[EncodedRow] | None:
        """Rows of `key`; a file that is damaged counts as not there."""
        import numpy as np

        path = self._folder / f"{key}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                ids, trained = arrays["ids"], np.unpackbits(arrays["trained"])
                lengths = arrays["lengths"].tolist()
            os.utime(path)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        labels = np.where(trained[: len(ids)].astype(bool), ids, IGNORED)
        ends = list(itertools.accumulate(lengths))
        flat_ids, flat_labels = ids.tolist(), labels.tolist()
        return [
            EncodedRow(tuple(flat_ids[end - n : end]), tuple(flat_labels[end - n : end]))
            for end, n in zip(ends, lengths, strict=True)
        ]

    def keep(self, key: str, rows: Sequence[EncodedRow]) -> None:
        """Write beside the place, then move there; rows with media are not kept.

        Their tokens depend on files, which may change.
        """
        import numpy as np

        if any(row.media is not None for row in rows):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        ids = np.fromiter((i for row in rows for i in row.input_ids), np.int32)
        trained = np.fromiter((n != IGNORED for row in rows for n in row.labels), bool)
        beside = self._folder / f".{key}.{os.getpid()}.npz"
        np.savez(
            beside,
            ids=ids,
            trained=np.packbits(trained),
            lengths=np.array([len(row.input_ids) for row in rows], np.int32),
        )
        beside.replace(self._folder / f"{key}.npz")
        self._remove_old()

    def _remove_old(self) -> None:
        room = self._room_bytes
        with suppress(FileNotFoundError):  # another run is making room too
            found = [(path.stat(), path) for path in self._folder.glob("[!.]*.npz")]
            for facts, path in sorted(found, key=lambda each: each[0].st_mtime, reverse=True):
                room -= facts.st_size
                if room < 0:
                    path.unlink()
