"""The HTTP application, and running it until someone ends it."""

import logging
import signal
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket
from threading import Thread
from types import FrameType

import uvicorn
from fastapi import FastAPI

from domain.files import LIMIT_BYTES
from entrypoints.container import Container
from entrypoints.http_api.auth import RequireKey
from entrypoints.http_api.door import Door, EngineSlot
from entrypoints.http_api.errors import install_handlers, log
from entrypoints.http_api.limits import NoPauses
from entrypoints.http_api.listen import listen, url
from entrypoints.http_api.routes.chat import chat_routes
from entrypoints.http_api.routes.completions import completion_routes
from entrypoints.http_api.routes.embeddings import embedding_routes
from entrypoints.http_api.routes.files import file_routes, upload_routes
from entrypoints.http_api.routes.fine_tuning import fine_tuning_routes
from entrypoints.http_api.routes.health import health_routes
from entrypoints.http_api.routes.metrics import CountRequests, metric_routes
from entrypoints.http_api.routes.models import model_routes
from entrypoints.http_api.routes.responses import response_routes
from entrypoints.http_api.routes.tokens import token_routes
from entrypoints.services.manage_keys import Admit
from entrypoints.services.serve_adapters import PLACES, ServeAdapters, serve_adapters
from ports.inference import InferenceBackend

GENERATION = (chat_routes, completion_routes, response_routes, token_routes, embedding_routes)
"""Routes that ask the engine."""

ROUTES = (
    health_routes,
    model_routes,
    *GENERATION,
    file_routes,
    upload_routes,
    fine_tuning_routes,
    metric_routes,
)

DRAIN_S = 25
"""How long answers under way may take to end once the server is asked to; what runs servers
commonly kills after 30 s."""


def make_app(
    container: Container,
    engine: InferenceBackend,
    *,
    api_key: str | None,
    max_adapters: int = PLACES,
) -> FastAPI:
    """The application over an engine that is ready; without any key it is open."""
    slot = EngineSlot(_with_adapters(container, engine, max_adapters))
    return _app(container, slot, container.admit(api_key))


def _with_adapters(
    container: Container, engine: InferenceBackend, max_adapters: int
) -> ServeAdapters:
    tuned = container.fine_tuned_models()
    return serve_adapters(engine, tuned, container.meter(), max_adapters)


def _app(container: Container, slot: EngineSlot, admit: Admit) -> FastAPI:
    translator, meter = container.translator(), container.meter()
    door = Door(
        slot=slot,
        translator=translator,
        surroundings=container.surroundings(),
        container=container,
        meter=meter,
        file_bytes=container.config.max_file_bytes() or LIMIT_BYTES,
    )
    app = FastAPI(title="Hextune", redirect_slashes=False)
    install_handlers(app, translator)
    app.add_middleware(NoPauses)
    app.add_middleware(RequireKey, admit=admit, translator=translator)
    app.add_middleware(CountRequests, meter=meter)
    for routes in ROUTES:
        app.include_router(routes(door))
    return app


def serve(
    container: Container,
    engine_factory: Callable[[], InferenceBackend],
    *,
    host: str,
    port: int,
    api_key: str | None,
    max_adapters: int = PLACES,
) -> None:
    """Serve until SIGINT or SIGTERM; then finish the answers under way and close the engine.

    One more SIGINT breaks them off. The main thread must call this, because signals go there.

    Raises HextuneError where the port cannot be had, where a reachable host has no key, and for
    what `engine_factory` raises; KeyboardInterrupt where it is ended while the model loads.
    """
    admit = container.admit(api_key)
    listener = listen(host, port, guarded=admit.closed)
    slot = EngineSlot()
    app = _app(container, slot, admit)
    try:
        with _signals(signal.default_int_handler), _running(app, listener) as running:
            print(f"HTTP on {url(listener, host)}", file=sys.stderr, flush=True)
            engine = engine_factory()
            with _signals(running.server.handle_exit):
                slot.engine = _with_adapters(container, engine, max_adapters)
                running.thread.join()
    finally:
        if slot.engine is not None:
            slot.engine.close()


@dataclass(frozen=True, slots=True)
class _Running:
    """A server and the thread it runs in."""

    server: uvicorn.Server
    thread: Thread


@contextmanager
def _running(app: FastAPI, listener: socket) -> Iterator[_Running]:
    """`app` answering in a thread of its own, so that the model loads in the main thread."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
    log.addFilter(_is_no_break)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="http")
    thread.start()
    try:
        yield _Running(server, thread)
    finally:
        server.should_exit = True
        thread.join()


def _is_no_break(record: logging.LogRecord) -> bool:
    """Whether a record is more than what a second signal broke off, as it was to."""
    told = record.exc_info[0] if record.exc_info else None
    # the application's own end is told as text
    return told is not CancelledError and not record.getMessage().endswith("CancelledError\n")


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """SIGINT and SIGTERM go to `handler` while the block runs.

    While the model loads they raise KeyboardInterrupt. Later they must not: an interrupted
    Thread.join takes a running thread for ended (Python 3.11).
    """
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
