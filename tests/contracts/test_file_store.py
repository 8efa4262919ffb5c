"""What every store of files, of uploads and of keys does, on disk and in memory."""

from pathlib import Path
from typing import Any

import pytest

from adapters.access_file import FileKeyStore
from adapters.files_disk import DiskFiles
from domain.access import AccessKey, Scope, digest_of
from domain.errors import HextuneError
from domain.files import StoredFile, Upload, UploadStatus
from ports.access import KeyStore
from tests.fakes.files import FakeFiles, FakeKeyStore

UPLOAD = Upload(
    id="upload_" + "0" * 32, filename="a.jsonl", purpose="batch", size_bytes=2, created_at=1.0
)


@pytest.fixture(params=["disk", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return DiskFiles(str(tmp_path)) if request.param == "disk" else FakeFiles()


@pytest.fixture(params=["file", "fake"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    return FileKeyStore(str(tmp_path)) if request.param == "file" else FakeKeyStore()


def file(number: int = 0) -> StoredFile:
    return StoredFile(
        id=f"file-{number:024x}", filename="a.jsonl", purpose="batch", created_at=9.0 - number
    )


def code_of(work: Any, *given: Any) -> str:
    with pytest.raises(HextuneError) as caught:
        work(*given)
    return caught.value.problems[0].code


def test_content_is_kept_until_it_is_removed(store: Any) -> None:
    kept = store.add(file(), [b"one", b"two"])
    assert (kept.size_bytes, len(kept.sha256)) == (6, 64)
    assert store.get(kept.id) == kept
    assert b"".join(store.read(kept.id)) == b"onetwo"
    store.remove(kept.id)
    for work in (store.get, store.read, store.path, store.remove):
        assert code_of(work, kept.id) == "file-missing"


def test_files_are_listed_by_time_and_the_first_of_an_id_stays(store: Any) -> None:
    for number in (1, 2, 3):
        store.add(file(number), [b"first"])
    store.add(file(2), [b"second"])
    assert [each.id for each in store.all()] == [file(number).id for number in (3, 2, 1)]
    assert b"".join(store.read(file(2).id)) == b"first"


def test_parts_are_joined_in_any_order(store: Any) -> None:
    store.save(UPLOAD)
    store.add_part(UPLOAD, "part_a", [b"1"])
    store.add_part(UPLOAD, "part_b", [b"22"])
    assert store.part_sizes(UPLOAD) == {"part_a": 1, "part_b": 2}
    assert b"".join(store.joined(UPLOAD, ["part_b", "part_a"])) == b"221"
    store.drop_parts(UPLOAD)
    assert store.part_sizes(UPLOAD) == {}
    assert store.load(UPLOAD.id) == UPLOAD
    assert store.load(UPLOAD.id).status is UploadStatus.PENDING
    assert code_of(store.load, "upload_" + "1" * 32) == "upload-missing"


def test_keys_are_replaced_as_a_whole(keys: KeyStore) -> None:
    made = [
        AccessKey(name=name, scopes=frozenset(Scope), digest=digest_of(name), created_at=1.0)
        for name in "ab"
    ]
    assert keys.all() == []
    keys.save(made)
    assert keys.all() == made
    keys.save(made[1:])
    assert keys.all() == made[1:]
