"""Errors in OpenAI's shape, in the caller's language.

OpenAI's `message`, `type`, `param` and `code` are joined by `hint`, and by `details` with every
problem found. Codes are Hextune's own, but for the key, whose code clients look for.
"""

import logging
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from domain.errors import ExitCode, HextuneError, Place, Problem, fail, problem
from ports.texts import Translator

log = logging.getLogger("uvicorn.error")
"""The server's own log: one place for all it says, on standard error."""

STATUS_OF_EXIT: Mapping[ExitCode, int] = {
    ExitCode.USAGE: 400,
    ExitCode.NOT_FOUND: 404,
    ExitCode.ACCESS: 403,
    ExitCode.UNFIT: 400,
    ExitCode.UNAVAILABLE: 503,
}
"""What a command would end with, as HTTP says it; anything else is 500."""

STATUS_OF_CODE: Mapping[str, int] = {
    "access-denied": 401,
    "request-too-large": 413,
    "file-too-large": 413,
    "request-too-slow": 408,
    "engine-busy": 429,
    "response-running": 409,
}
OPENAI_CODES: Mapping[str, str] = {"access-denied": "invalid_api_key"}
HEADERS_OF_STATUS: Mapping[int, Mapping[str, str]] = {
    401: {"www-authenticate": "Bearer"},
    429: {"retry-after": "1"},
    503: {"retry-after": "1"},
}


CLIENT_GONE = 499
"""Status of a reply that nobody reads, because the client closed the connection."""


def status_of(error: HextuneError) -> int:
    """The HTTP status of an error."""
    first = error.problems[0]
    return STATUS_OF_CODE.get(first.code) or STATUS_OF_EXIT.get(first.exit_code, 500)


def error_body(
    translator: Translator, language: str, error: HextuneError, status: int
) -> dict[str, object]:
    """The body of an error reply; its first problem is the error, all are its details."""
    shown = [shown_problem(translator, language, found) for found in error.problems]
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {**shown[0], "type": kind, "details": shown}}


def shown_problem(translator: Translator, language: str, found: Problem) -> dict[str, object]:
    """One problem with its texts in `language`."""
    message, hint = translator.problem(language, found)
    return {
        "message": message,
        "param": found.place.field,
        "code": OPENAI_CODES.get(found.code, found.code),
        "hint": hint,
        **({"line": found.place.line} if found.place.line else {}),
    }


def error_reply(
    translator: Translator, headers: Headers, error: HextuneError, status: int | None = None
) -> JSONResponse:
    """The reply to a request with `headers` that failed."""
    code = status or status_of(error)
    language = translator.choose(headers.get("accept-language"))
    return JSONResponse(
        error_body(translator, language, error, code),
        status_code=code,
        headers={"content-language": language, **HEADERS_OF_STATUS.get(code, {})},
    )


def unexpected(error: Exception) -> HextuneError:
    """What a caller learns of a defect: its kind. The server's log has the rest."""
    return fail("unexpected", reason=type(error).__name__, log="that `tune serve` logged to")


def broken_off(error: Exception) -> HextuneError:
    """What a caller learns of an answer that ended before its end; a defect goes to the log."""
    if isinstance(error, HextuneError):
        return error
    log.error("An answer broke off", exc_info=error)
    return unexpected(error)


def parameter_error(error: RequestValidationError) -> HextuneError:
    """Our problems for what FastAPI found in a path, a query or a header."""
    problems = []
    for found in error.errors():
        field = ".".join(str(part) for part in found["loc"][1:])
        if found["type"] == "extra_forbidden":
            problems.append(problem("request-unsupported-field", Place(field=field), field=field))
        else:
            reason = found["msg"][:1].lower() + found["msg"][1:]
            facts = {"field": field, "reason": reason}
            problems.append(problem("request-bad-field", Place(field=field), **facts))
    return HextuneError(problems)


def install_handlers(app: FastAPI, translator: Translator) -> None:
    """Answer every failure of `app` in one shape."""

    async def on_mistake(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HextuneError)
        return error_reply(translator, request.headers, error)

    async def on_no_route(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        found = fail("request-no-route", method=request.method, path=request.url.path)
        reply = error_reply(translator, request.headers, found, error.status_code)
        reply.headers.update(error.headers or {})
        return reply

    async def on_defect(request: Request, error: Exception) -> JSONResponse:
        return error_reply(translator, request.headers, unexpected(error))

    async def on_gone(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    async def on_bad_parameter(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_reply(translator, request.headers, parameter_error(error))

    app.add_exception_handler(RequestValidationError, on_bad_parameter)
    app.add_exception_handler(HextuneError, on_mistake)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(404, on_no_route)
    app.add_exception_handler(405, on_no_route)
    app.add_exception_handler(Exception, on_defect)
