"""Reading a JSON request body within a limit."""

from pydantic_core import from_json
from starlette.requests import Request

from domain.budget import shown_bytes
from domain.errors import fail

LIMIT_BYTES = 4 * 1024**2
"""Longest body: some hundred thousand words of conversation."""

READ_BYTES = 8 * LIMIT_BYTES
"""How far a longer body is read and dropped, so that its sender gets to read the refusal: a
connection closed over unread bytes is reset, and the reply is lost with it."""


async def read_json(request: Request) -> object:
    """The JSON value a request carries. Raises HextuneError where there is none, or too much."""
    text = await read_body(request)
    kind = request.headers.get("content-type", "none").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A web page can post any other type across origins without being asked.
        raise fail("request-unreadable", reason=f"its Content-Type is {kind}, not application/json")
    try:
        # Unlike `json`, this refuses NaN, lone surrogates and endless nesting.
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise fail("request-unreadable", reason=error) from error


async def read_body(request: Request) -> bytes:
    """The bytes of a body up to the limit. Raises HextuneError beyond it."""
    kept = bytearray()
    size_bytes = 0
    async for piece in request.stream():
        size_bytes += len(piece)
        if size_bytes <= LIMIT_BYTES:
            kept += piece
        elif size_bytes > READ_BYTES:
            break
    if size_bytes > LIMIT_BYTES:
        raise fail("request-too-large", limit=shown_bytes(LIMIT_BYTES))
    return bytes(kept)
