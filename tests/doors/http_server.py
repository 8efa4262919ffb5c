"""The HTTP door on a free port, in a thread, over an engine a test chooses."""

import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import uvicorn
from openai import OpenAI

from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, ServedModel, TextDelta
from entrypoints.container import Container
from entrypoints.http_api.app import make_app
from ports.inference import InferenceBackend
from tests.fakes.container import fake_container
from tests.fakes.models import CPU, HANDLE

RUN = ResolvedModel(
    label="echo-run", handle=replace(HANDLE, adapters=("/runs/echo/model",)), created_at=0.0
)


def echo_engine() -> InferenceBackend:
    """The engine that says the last message again, as a run and as its base."""
    engine: InferenceBackend = fake_container().catalog().part("engines", "echo").Engine(RUN, CPU)
    return engine


class ScriptedEngine:
    """Implements ports.inference.InferenceBackend: says or raises what it was given, or never ends.

    `pause_s` is waited before each piece, as a model takes its time. `closed` tells that a
    generation is over, and `ended` how each one ended, and that the engine was shut.
    """

    def __init__(self, script: Sequence[str | Exception] = (), pause_s: float = 0.0) -> None:
        self.script = script
        self.pause_s = pause_s
        self.requests: list[GenerationRequest] = []
        self.closed = Event()
        self.ended: list[str] = []

    def models(self) -> Sequence[ServedModel]:
        return RUN.served()

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        self.requests.append(request)
        try:
            for step in self.script or endless():
                Event().wait(self.pause_s)
                if isinstance(step, Exception):
                    raise step
                yield TextDelta(text=step)
            yield TextDelta(text="", finish_reason="stop", prompt_tokens=1, completion_tokens=2)
            self.ended.append("finished")
        except GeneratorExit:
            self.ended.append("closed")
            raise
        finally:
            self.closed.set()

    def close(self) -> None:
        self.ended.append("shut")


def endless() -> Iterator[str]:
    """A model that never stops."""
    while True:
        yield "again "


@contextmanager
def serving(
    engine: InferenceBackend, api_key: str | None = None, container: Container | None = None
) -> Iterator[str]:
    """The address of a running server."""
    app = make_app(container or fake_container(), engine, api_key=api_key)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_level="critical",
            timeout_graceful_shutdown=5,
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def client(address: str, key: str = "unused") -> OpenAI:
    """The official client, which asks once."""
    return OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)


def body(**fields: Any) -> dict[str, Any]:
    """A small valid request with other fields set."""
    said = [{"role": "user", "content": "one two three"}]
    return {"model": "echo-run", "messages": said, **fields}
