"""What every call passes: a request id, the API key, and errors made into rich statuses."""

import asyncio
import inspect
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import grpc
from grpc_status import rpc_status

from domain.access import Scope
from domain.errors import HextuneError, fail
from entrypoints.grpc_api.errors import status_of
from entrypoints.services.manage_keys import Admit
from ports.texts import Translator

LOG = logging.getLogger("hextune.grpc")
REQUEST_ID = "x-request-id"
SOUND_REQUEST_ID = re.compile(r"[!-~]{1,128}")
HEALTH = "/grpc.health.v1.Health/"

Handler = Any
Behaviour = Callable[[Any, Any], Awaitable[Any]]
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

REMAKE: Mapping[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""(requests stream, responses stream) to the maker of such a handler."""


def _behaviour(handler: Handler) -> Behaviour:
    found: Behaviour = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return found


def _remade(handler: Handler, behaviour: Behaviour) -> Handler:
    """`handler` with another behaviour, reading and writing the same messages."""
    return REMAKE[handler.request_streaming, handler.response_streaming](
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _metadata(details: grpc.HandlerCallDetails) -> Mapping[str, str]:
    return {key: value for key, value in details.invocation_metadata if isinstance(value, str)}


class StatusInterceptor(grpc.aio.ServerInterceptor):
    """Gives each call a request id, and its errors a status with details.

    The caller may send the id as `x-request-id`; it comes back in the trailing metadata.
    """

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._running: set[asyncio.Task[Any]] = set()

    async def finished(self) -> None:
        """Wait for the calls that go on; a cancelled one may still be closing its generator."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """The handler, wrapped; reflection answers with a generator and reports its own errors."""
        handler = await continuation(handler_call_details)
        if handler is None or inspect.isasyncgenfunction(_behaviour(handler)):
            return handler
        behaviour, sent = _behaviour(handler), _metadata(handler_call_details)
        given = sent.get(REQUEST_ID, "")
        request_id = given if SOUND_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

        async def call(request: Any, context: Any) -> Any:
            context.set_trailing_metadata(((REQUEST_ID, request_id),))
            self._note_task()
            try:
                return await behaviour(request, context)
            except grpc.aio.AbortError:
                raise
            except HextuneError as error:
                shown = error
            except Exception:
                LOG.exception("%s failed, request id %s", handler_call_details.method, request_id)
                shown = fail("unexpected", reason=f"request {request_id}", log="the server logs to")
            status = status_of(shown, self._translator, sent.get("accept-language"))
            made = rpc_status.to_status(status)
            trailers = (*made.trailing_metadata, (REQUEST_ID, request_id))
            return await context.abort(made.code, made.details, trailers)

        return _remade(handler, call)

    def _note_task(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call pass that has a key with the scope it needs; health checks need none."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """The handler, or one that raises HextuneError `access-denied` or `access-scope`."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler
        given = _metadata(handler_call_details).get("authorization", "")
        scheme, _, key = given.partition(" ")
        try:
            await asyncio.to_thread(self._check, key if scheme.lower() == "bearer" else "", method)
        except HextuneError as error:
            return _remade(handler, _denying(error))
        return handler

    def _check(self, key: str, method: str) -> None:
        if self._admit.closed:
            self._admit(key.strip(), NEEDS.get(method.rpartition("/")[2], ()))


ANY = (Scope.READ, Scope.INFER, Scope.TRAIN)
READING = (Scope.READ, Scope.TRAIN)
NEEDS: Mapping[str, Collection[Scope]] = {
    "GetJob": READING,
    "ListJobs": READING,
    "WatchJob": READING,
    "PlanJob": (Scope.TRAIN,),
    "CreateJob": (Scope.TRAIN,),
    "CancelJob": (Scope.TRAIN,),
    "ResumeJob": (Scope.TRAIN,),
    "ListModels": ANY,
    "GetModel": ANY,
    "Generate": (Scope.INFER,),
    "ServerReflectionInfo": ANY,
}
"""Scopes of which a call needs one; a call that is not here needs admin."""


def _denying(error: HextuneError) -> Behaviour:
    async def deny(request: Any, context: Any) -> Any:
        raise error

    return deny
