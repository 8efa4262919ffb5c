"""Keys: every path but health is closed to requests without one, unknown paths too.

What a request needs is decided by its method and path; one that stands in no row of the table
needs the scope admin.
"""

from collections.abc import Collection

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.access import Scope as Access
from domain.errors import HextuneError
from entrypoints.http_api.errors import error_reply
from entrypoints.services.manage_keys import Admit
from ports.texts import Translator

OPEN_PATHS = ("/health", "/health/live", "/health/ready")

ANY = (Access.READ, Access.INFER, Access.TRAIN)
NEEDS: tuple[tuple[tuple[str, ...], str, Collection[Access]], ...] = (
    (("GET", "HEAD"), "/v1/models", ANY),
    (("GET", "HEAD"), "/v1/files", (Access.READ, Access.TRAIN)),
    (("GET", "HEAD"), "/v1/fine_tuning", (Access.READ, Access.TRAIN)),
    (("GET", "HEAD"), "/metrics", (Access.READ,)),
    (("GET", "HEAD"), "/docs", ANY),
    (("GET", "HEAD"), "/openapi.json", ANY),
    (("POST", "DELETE"), "/v1/files", (Access.TRAIN,)),
    (("POST",), "/v1/uploads", (Access.TRAIN,)),
    (("POST",), "/v1/fine_tuning", (Access.TRAIN,)),
    (("DELETE",), "/v1/models", (Access.TRAIN,)),
    (("POST", "GET", "DELETE"), "/v1/", (Access.INFER,)),
    (("POST",), "/tokenize", (Access.INFER,)),
    (("POST",), "/detokenize", (Access.INFER,)),
)
"""Methods and beginnings of paths, with the scopes of which one is enough; the first row holds."""


class RequireKey:
    """Middleware that lets requests through which carry `Authorization: Bearer KEY`.

    While there is no key at all, and the door listens to this machine only, everything is open.
    """

    def __init__(self, app: ASGIApp, admit: Admit, translator: Translator) -> None:
        self._app = app
        self._admit = admit
        self._translator = translator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            await to_thread.run_sync(self._check, scope)
        except HextuneError as error:
            reply = error_reply(self._translator, Headers(scope=scope), error)
            await reply(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if self._admit.closed:
            self._admit(key_in(scope), needed(scope["method"], scope["path"]))


def needed(method: str, path: str) -> Collection[Access]:
    """Scopes of which a request needs one; none of them where only admin will do."""
    for methods, beginning, scopes in NEEDS:
        if method in methods and path.startswith(beginning):
            return scopes
    return ()


def key_in(scope: Scope) -> str:
    """The key a request carries; empty for none."""
    given = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, key = given.partition(b" ")
    return str(key.strip().decode("latin-1")) if scheme.lower() == b"bearer" else ""
