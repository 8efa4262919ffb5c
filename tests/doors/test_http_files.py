"""`/v1/files` and `/v1/uploads`, driven by the official client."""

from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import FileDeleted, FileObject, Upload
from openai.types.uploads import UploadPart

from tests.doors.http_server import client, echo_engine, serving
from tests.doors.tuning_server import chat_row, error_in, lines, pair_row, tuning_container

ROWS = lines([chat_row(), chat_row("three", "four")])
NOWHERE = "file-" + "0" * 24


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    container = tuning_container(tmp_path_factory.mktemp("runs"))
    with serving(echo_engine(), container=container) as found:
        yield found


@pytest.fixture(scope="module")
def api(address: str) -> OpenAI:
    return client(address)


def strict(kind: Any, value: Any) -> None:
    """The value is what the client's own types say, without any conversion."""
    kind.model_validate(value.to_dict(mode="json"), strict=False)


def send(api: OpenAI, content: bytes = ROWS, name: str = "rows.jsonl", **more: Any) -> FileObject:
    return api.files.create(file=(name, content), purpose=more.pop("purpose", "fine-tune"), **more)


def test_a_file_is_kept_told_and_removed(api: OpenAI, address: str) -> None:
    sent = send(api)
    strict(FileObject, sent)
    assert (sent.filename, sent.bytes, sent.purpose) == ("rows.jsonl", len(ROWS), "fine-tune")
    assert sent.to_dict()["sha256"] == sha256(ROWS).hexdigest()
    assert api.files.retrieve(sent.id) == sent
    assert api.files.content(sent.id).content == ROWS
    removed = api.files.delete(sent.id)
    strict(FileDeleted, removed)
    for reply in (
        httpx.get(f"{address}/v1/files/{sent.id}"),
        httpx.get(f"{address}/v1/files/{sent.id}/content"),
        httpx.delete(f"{address}/v1/files/{sent.id}"),
    ):
        assert (reply.status_code, error_in(reply)["code"]) == (404, "file-missing")


def test_lists_come_in_pages(api: OpenAI, address: str) -> None:
    sent = [send(api, purpose="user_data").id for _ in range(3)]
    other = send(api, purpose="batch").id
    listed = [file.id for file in api.files.list(purpose="user_data", limit=2)]
    assert sorted(listed) == sorted(sent)
    assert other in {file.id for file in api.files.list()}
    first = api.files.list(purpose="user_data", limit=2)
    assert first.has_more is True
    rising = [file.id for file in api.files.list(purpose="user_data", order="asc")]
    assert rising == listed[::-1]
    reply = httpx.get(f"{address}/v1/files", params={"after": NOWHERE})
    assert (reply.status_code, error_in(reply)["param"]) == (400, "after")
    reply = httpx.get(f"{address}/v1/files", params={"limit": 0, "sort": "x"})
    assert [found["param"] for found in error_in(reply)["details"]] == ["limit", "sort"]


@pytest.mark.parametrize(
    "content",
    [
        lines([pair_row()]),
        lines([{"messages": [{"role": "user", "content": "2+2"}], "answer": "4"}]),
        b'{"prompt": "a", "completion": "b"}\n',
    ],
)
def test_every_kind_of_rows_is_taken(api: OpenAI, content: bytes) -> None:
    assert send(api, content).bytes == len(content)


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (lines([chat_row(), {"messages": [{"role": "cat", "content": ""}]}]), 2, "role"),
        (ROWS + b"{torn\n", 3, "column"),
        (lines([pair_row(), {**pair_row(), "preferred_output": []}]), 2, "preferred_output"),
        (lines([chat_row("<image>")]).replace(b'"content": "<image>"', b'"content": [{"type":'
         b' "image_url", "image_url": {"url": "/etc/passwd"}}]'), 1, "cannot name a file"),
    ],
)  # fmt: skip
def test_bad_rows_are_told_with_their_line(
    api: OpenAI, address: str, content: bytes, line: int, said: str
) -> None:
    before = [file.id for file in api.files.list()]
    with pytest.raises(openai.BadRequestError) as caught:
        send(api, content)
    found: Any = caught.value.body
    assert found["param"] == "file"
    assert found["line"] == line
    assert f"line {line}" in found["message"]
    assert said in found["message"]
    assert "/runs" not in caught.value.response.text.replace("/etc/passwd", "")
    assert [file.id for file in api.files.list()] == before


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "vision"}, "purpose"),
        ({"purpose": "fine-tune", "colour": "red"}, "colour"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, "expires_after.seconds"),
        ({}, "purpose"),
    ],
)
def test_fields_that_nothing_heeds_are_refused(
    address: str, fields: dict[str, str], param: str
) -> None:
    reply = httpx.post(f"{address}/v1/files", data=fields, files={"file": ("a.jsonl", ROWS)})
    assert (reply.status_code, error_in(reply)["param"]) == (400, param)


def test_what_is_no_form_is_refused(address: str) -> None:
    for reply in (
        httpx.post(f"{address}/v1/files", json={}),
        httpx.post(f"{address}/v1/files", content=b"x", headers={"content-type": FORM}),
        httpx.post(f"{address}/v1/files", content=b"x", headers={"content-type": FORM + BORDER}),
    ):
        assert (reply.status_code, error_in(reply)["code"]) == (400, "request-not-form")
    reply = httpx.post(f"{address}/v1/files", data={"purpose": "batch"}, files={"x": b""})
    assert (reply.status_code, error_in(reply)["param"]) == (400, "x")


FORM, BORDER = "multipart/form-data", "; boundary=b"


@pytest.mark.parametrize("id", ["..", "%2e%2e%2f%2e%2e", ".new-a", "file-x", "file-../../etc"])
def test_ids_are_no_paths(address: str, id: str) -> None:
    for reply in (
        httpx.get(f"{address}/v1/files/{id}"),
        httpx.delete(f"{address}/v1/files/{id}"),
        httpx.post(f"{address}/v1/uploads/{id}/cancel"),
    ):
        assert reply.status_code in (404, 405)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    container = tuning_container(tmp_path, limit_bytes=1000)
    with serving(echo_engine(), container=container) as address:
        for content in (b"x" * 1001, b"x" * 200_000):
            files = {"file": ("a.txt", content)}
            reply = httpx.post(f"{address}/v1/files", data={"purpose": "batch"}, files=files)
            assert (reply.status_code, error_in(reply)["code"]) == (413, "file-too-large")
        assert client(address).files.list().data == []
        assert list((tmp_path / ".files").iterdir()) == []


def test_files_outlive_the_server_and_go_when_they_expire(tmp_path: Path) -> None:
    container = tuning_container(tmp_path)
    with serving(echo_engine(), container=container) as address:
        kept = send(client(address))
        lasting = {"anchor": "created_at", "seconds": 3600}
        short = send(client(address), purpose="batch", expires_after=lasting)
        assert short.expires_at == short.created_at + 3600
    again = tuning_container(tmp_path)
    again.surroundings().time = container.surroundings().time
    with serving(echo_engine(), container=again) as address:
        assert client(address).files.retrieve(kept.id) == kept
        assert {file.id for file in client(address).files.list()} == {kept.id, short.id}
        again.surroundings().sleep(3601)
        assert [file.id for file in client(address).files.list()] == [kept.id]
        with pytest.raises(openai.NotFoundError):
            client(address).files.retrieve(short.id)


def begin(api: OpenAI, size_bytes: int = len(ROWS)) -> Upload:
    return api.uploads.create(
        bytes=size_bytes, filename="rows.jsonl", mime_type="application/jsonl", purpose="fine-tune"
    )


def test_an_upload_in_parts_becomes_a_file(api: OpenAI) -> None:
    upload = begin(api)
    strict(Upload, upload)
    later = api.uploads.parts.create(upload.id, data=ROWS[50:])
    first = api.uploads.parts.create(upload.id, data=ROWS[:50])
    strict(UploadPart, first)
    sum_ = md5(ROWS).hexdigest()
    done = api.uploads.complete(upload.id, part_ids=[first.id, later.id], md5=sum_)
    strict(Upload, done)
    assert done.status == "completed"
    assert done.file is not None
    assert api.files.content(done.file.id).content == ROWS
    with pytest.raises(openai.BadRequestError) as caught:
        api.uploads.cancel(upload.id)
    assert caught.value.code == "upload-closed"


def test_parts_that_do_not_make_the_file_are_refused(api: OpenAI) -> None:
    upload = begin(api)
    part = api.uploads.parts.create(upload.id, data=ROWS)
    for parts, sum_, code in (
        (["part_x"], openai.omit, "request-bad-field"),
        ([part.id, part.id], openai.omit, "upload-size-differs"),
        ([part.id], "0" * 32, "upload-sum-differs"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            api.uploads.complete(upload.id, part_ids=parts, md5=sum_)
        assert caught.value.code == code
    cancelled = api.uploads.cancel(upload.id)
    strict(Upload, cancelled)
    assert cancelled.status == "cancelled"
    with pytest.raises(openai.NotFoundError):
        api.uploads.parts.create("upload_" + "0" * 32, data=b"x")
