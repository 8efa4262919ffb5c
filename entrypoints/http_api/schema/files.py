"""Files and uploads: what requests may say, and replies as OpenAI's API describes them."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from domain.errors import HextuneError
from domain.files import Purpose, StoredFile, Upload, UploadPart
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.values import Strict, bad, invalid

Filename = Annotated[str, Field(min_length=1, max_length=255)]
Lasting = Annotated[int, Field(ge=3600, le=2592000)]
"""Seconds that a file is kept, as OpenAI bounds them."""


class Expiry(Strict):
    """When a file goes by itself."""

    anchor: Literal["created_at"]
    seconds: Lasting


class FileFields(Strict):
    """The fields beside a file."""

    purpose: Purpose
    expires_after: Expiry | None = None


class UploadBody(Strict):
    """A file that will come in parts."""

    filename: Filename
    purpose: Purpose
    bytes: Annotated[int, Field(ge=1)]
    mime_type: str
    expires_after: Expiry | None = None


class CompleteBody(Strict):
    """The parts of an upload, in order."""

    part_ids: Annotated[list[str], Field(min_length=1)]
    md5: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")] | None = None


def read_fields(form: FormData) -> FileFields:
    """The fields of a form. Raises HextuneError with every mistake in them."""
    values: dict[str, object] = {}
    expiry: dict[str, object] = {}
    for name, value in form.multi_items():
        if name in ("expires_after[anchor]", "expires_after[seconds]"):
            key = name.removeprefix("expires_after[").removesuffix("]")
            expiry[key] = int(value) if isinstance(value, str) and value.isdecimal() else value
        elif name != "file":
            values[name] = value
    if expiry:
        values["expires_after"] = expiry
    try:
        return FileFields.model_validate(values)
    except ValidationError as error:
        raise HextuneError(invalid(error)) from error


def file_of(form: FormData, field: str) -> UploadFile:
    """The one file of a form. Raises HextuneError where there is none."""
    found = form.getlist(field)
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        raise HextuneError([bad(field, "it is not one file")])
    return found[0]


def lasts_s(expiry: Expiry | None) -> int | None:
    """How long a file is kept, in seconds."""
    return None if expiry is None else expiry.seconds


def file_reply(file: StoredFile) -> Reply:
    """A file; `sha256` is ours."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "sha256": file.sha256,
        **({} if file.expires_at is None else {"expires_at": int(file.expires_at)}),
    }


def upload_reply(upload: Upload, file: StoredFile | None = None) -> Reply:
    """An upload, with its file once it is one."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size_bytes,
        "created_at": int(upload.created_at),
        "expires_at": int(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status.value,
        "file": None if file is None else file_reply(file),
    }


def part_reply(part: UploadPart) -> Reply:
    """A part of an upload."""
    return {
        "id": part.id,
        "object": "upload.part",
        "created_at": int(part.created_at),
        "upload_id": part.upload_id,
    }
