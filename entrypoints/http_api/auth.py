"""The key: every path but `/health` is closed to requests without it, unknown paths too."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import fail
from entrypoints.http_api.errors import error_reply
from ports.texts import Translator

OPEN_PATHS = ("/health",)


class RequireKey:
    """Middleware that lets requests through which carry `Authorization: Bearer KEY`."""

    def __init__(self, app: ASGIApp, key: str, translator: Translator) -> None:
        self._app = app
        self._key = key.encode()
        self._translator = translator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._has_key(scope):
            await self._app(scope, receive, send)
            return
        reply = error_reply(self._translator, Headers(scope=scope), fail("access-denied"))
        await reply(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)
