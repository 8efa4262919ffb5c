"""A stand-in for vLLM's server: the few calls our adapter makes, over a socket, without vLLM.

It is run as vLLM's interpreter would be, `... -m MODULE --uds SOCKET ...`, and says as many words
as it is asked for. Shapes are those of vLLM's OpenAI-compatible server, and so are its two
processes: where the engine behind it dies, the server says so for a moment and ends.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

WORD_S = 0.004
"""Time for one word."""
LAST_S = 0.3
"""How long the server outlives its engine."""
ENGINE = "import sys; sys.stdin.read()"
"""An engine that does nothing, and ends with whoever started it."""
DEAD = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}


async def health(request: Request) -> Response:
    """Ready once it listens."""
    return Response()


async def completions(request: Request) -> Response:
    """A streamed answer of `max_tokens` words."""
    asked = json.loads(await request.body())
    if request.app.state.engine.poll() is not None:
        return JSONResponse({"error": DEAD}, 500)
    said = events(asked, request.app.state.engine)
    return StreamingResponse(said, media_type="text/event-stream")


async def events(asked: dict[str, Any], engine: subprocess.Popen[bytes]) -> AsyncIterator[str]:
    """The events of one answer: its words, why it ends, what it used."""
    count = asked["max_tokens"]
    for number in range(count):
        await asyncio.sleep(WORD_S)
        if engine.poll() is not None:
            yield f"data: {json.dumps({'error': DEAD})}\n\ndata: [DONE]\n\n"
            return
        yield event([{"index": 0, "text": f"word{number} ", "finish_reason": None}])
    yield event([{"index": 0, "text": "", "finish_reason": "length"}])
    used = {"prompt_tokens": len(asked["prompt"]), "completion_tokens": count}
    yield event([], usage=used)
    yield "data: [DONE]\n\n"


def event(choices: list[dict[str, Any]], **more: object) -> str:
    """One chunk as an event."""
    return f"data: {json.dumps({'choices': choices, **more})}\n\n"


@asynccontextmanager
async def with_engine(app: Starlette) -> AsyncIterator[None]:
    """The engine beside the server, which ends soon after it."""
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdin=subprocess.PIPE)
    app.state.engine = engine

    async def end_after_it() -> None:
        while engine.poll() is None:
            await asyncio.sleep(WORD_S)
        await asyncio.sleep(LAST_S)
        os.kill(os.getpid(), signal.SIGKILL)

    watch = asyncio.create_task(end_after_it())
    yield
    watch.cancel()
    engine.kill()


def interpreter(folder: Path, python: str) -> Path:
    """A program under `folder` that answers as an interpreter with vLLM would."""
    program = folder / "python-with-vllm"
    program.write_text(f'#!/bin/sh\nexec "{python}" "{__file__}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--uds", required=True)
    socket = parser.parse_known_args()[0].uds
    routes = [
        Route("/health", health),
        Route("/v1/completions", completions, methods=["POST"]),
    ]
    app = Starlette(routes=routes, lifespan=with_engine)
    uvicorn.run(app, uds=socket, log_level="info", access_log=False)
