"""Limits of request bodies: how much may come, and how long it may take between two pieces."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from anyio import fail_after
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.budget import shown_bytes
from domain.errors import fail

PAUSE_S = 30.0
"""Longest wait for the next piece of a body, in seconds."""
FIELDS_BYTES = 64 * 1024
"""Room for a form's fields and boundaries beside its file."""


class NoPauses:
    """Middleware that ends requests whose body stops coming.

    Raises HextuneError inside the route, which the error handlers answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a watched body; waiting for the client to leave is not."""
        whole = scope["type"] != "http"

        async def watched() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                with fail_after(PAUSE_S):
                    message = await receive()
            except TimeoutError:
                raise fail("request-too-slow", seconds=f"{PAUSE_S:g}") from None
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, watched, send)


@asynccontextmanager
async def form_of(http: Request, limit_bytes: int) -> AsyncIterator[FormData]:
    """The form a request carries; its files are on disk, and gone after the block.

    Raises HextuneError where it is none, or larger than the limit with its fields.
    """
    kind = http.headers.get("content-type", "none").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise fail("request-not-form", reason=f"its Content-Type is {kind}")
    most_bytes = limit_bytes + FIELDS_BYTES
    announced = http.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise fail("file-too-large", limit=shown_bytes(limit_bytes))
    stream = _limited(http.stream(), most_bytes, limit_bytes)
    try:
        form = await MultiPartParser(http.headers, stream, max_files=1, max_fields=8).parse()
    except MultiPartException as error:
        raise fail("request-not-form", reason=error.message) from None
    try:
        yield form
    finally:
        await form.close()


async def _limited(
    stream: AsyncIterator[bytes], most_bytes: int, limit_bytes: int
) -> AsyncGenerator[bytes, None]:
    size_bytes = 0
    async for piece in stream:
        size_bytes += len(piece)
        if size_bytes > most_bytes:
            raise fail("file-too-large", limit=shown_bytes(limit_bytes))
        yield piece
