"""`/v1/files` and `/v1/uploads`: files to train on, whole or in parts, and files that jobs made."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from domain.errors import HextuneError
from domain.files import RESULTS
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.limits import form_of
from entrypoints.http_api.schema.files import (
    CompleteBody,
    FileFields,
    UploadBody,
    file_of,
    file_reply,
    lasts_s,
    part_reply,
    read_fields,
    upload_reply,
)
from entrypoints.http_api.schema.pages import FileQuery, list_reply, page
from entrypoints.http_api.schema.shown import form_schema, json_schema
from entrypoints.http_api.schema.values import invalid

MEDIA_TYPES = {RESULTS: "text/csv"}
"""What content is, by purpose."""


def file_routes(door: Door) -> APIRouter:
    """The routes of files."""
    router = APIRouter(prefix="/v1/files")
    files: Any = door.container.manage_files()

    @router.post("", openapi_extra=form_schema("file", FileFields))
    async def upload_file(http: Request) -> JSONResponse:
        """Store a file; rows to train on are all checked, and each fault is told with its line."""
        async with form_of(http, door.file_bytes) as form:
            fields, file = read_fields(form), file_of(form, "file")
            name = (file.filename or "file")[:255]
            pieces = iter(lambda: file.file.read(1 << 20), b"")
            kept_s = lasts_s(fields.expires_after)
            stored = await to_thread.run_sync(files.add, name, fields.purpose, pieces, kept_s)
        return JSONResponse(file_reply(stored))

    @router.get("")
    async def list_files(query: Annotated[FileQuery, Query()]) -> JSONResponse:
        """Files by time, newest first unless `order` says otherwise."""
        found = list(await to_thread.run_sync(files.all, query.purpose))
        if query.order == "desc":
            found.reverse()
        shown, more = page(found, lambda file: file.id, query.after, query.limit)
        # OpenAI's list of files, unlike the others, has texts there, and never null
        return JSONResponse(list_reply([file_reply(file) for file in shown], more, no_id=""))

    @router.get("/{file_id}")
    async def retrieve_file(file_id: str) -> JSONResponse:
        """One file."""
        return JSONResponse(file_reply(await to_thread.run_sync(files.get, file_id)))

    @router.get("/{file_id}/content")
    async def retrieve_content(file_id: str) -> Response:
        """A file's content as it was sent."""
        file = await to_thread.run_sync(files.get, file_id)
        pieces = await to_thread.run_sync(files.read, file_id)
        kind = MEDIA_TYPES.get(file.purpose, "application/octet-stream")
        headers = {"content-length": str(file.size_bytes), "x-content-type-options": "nosniff"}
        return StreamingResponse(pieces, media_type=kind, headers=headers)

    @router.delete("/{file_id}")
    async def delete_file(file_id: str) -> JSONResponse:
        """Remove a file."""
        await to_thread.run_sync(files.remove, file_id)
        return JSONResponse({"id": file_id, "object": "file", "deleted": True})

    return router


def upload_routes(door: Door) -> APIRouter:
    """The routes of uploads in parts."""
    router = APIRouter(prefix="/v1/uploads")
    uploads: Any = door.container.manage_uploads()

    @router.post("", openapi_extra=json_schema(UploadBody))
    async def create_upload(http: Request) -> JSONResponse:
        """Begin a file that comes in parts, within an hour."""
        body = read_as(UploadBody, await read_json(http))
        kept_s = lasts_s(body.expires_after)
        upload = await to_thread.run_sync(
            uploads.begin, body.filename, body.purpose, body.bytes, kept_s
        )
        return JSONResponse(upload_reply(upload))

    @router.post("/{upload_id}/parts", openapi_extra=form_schema("data", None))
    async def add_part(upload_id: str, http: Request) -> JSONResponse:
        """Send a part; parts may come in any order."""
        async with form_of(http, door.file_bytes) as form:
            file = file_of(form, "data")
            pieces = iter(lambda: file.file.read(1 << 20), b"")
            part = await to_thread.run_sync(uploads.add_part, upload_id, pieces)
        return JSONResponse(part_reply(part))

    @router.post("/{upload_id}/complete", openapi_extra=json_schema(CompleteBody))
    async def complete_upload(upload_id: str, http: Request) -> JSONResponse:
        """Make a file of the parts in the order given."""
        body = read_as(CompleteBody, await read_json(http))
        upload, file = await to_thread.run_sync(
            uploads.complete, upload_id, body.part_ids, body.md5
        )
        return JSONResponse(upload_reply(upload, file))

    @router.post("/{upload_id}/cancel")
    async def cancel_upload(upload_id: str) -> JSONResponse:
        """Drop the parts."""
        return JSONResponse(upload_reply(await to_thread.run_sync(uploads.cancel, upload_id)))

    return router


def read_as(kind: type[Any], values: object) -> Any:
    """A JSON value as a body. Raises HextuneError with every mistake in it."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise HextuneError(invalid(error)) from error
