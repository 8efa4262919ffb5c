"""`POST /tokenize` and `POST /detokenize`: texts to token ids and back, as in vLLM's server."""

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from domain.errors import fail
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.schema.texts import DetokenizeBody, TokenizeBody, read
from ports.inference import InferenceBackend
from ports.tokens import TextTokens


def token_routes(door: Door) -> APIRouter:
    """The routes of tokens."""
    router = APIRouter()

    @router.post("/tokenize")
    async def tokenize(http: Request) -> JSONResponse:
        """The ids of `prompt`, or of `messages` as the model's template writes them."""
        body = read(TokenizeBody, await read_json(http))
        engine, model = _reading(door.slot.ready(), body.model)
        ids = await to_thread.run_sync(lambda: _ids(engine, model, body))
        count = {"count": len(ids), "max_model_len": engine.context_tokens(model)}
        return JSONResponse({"tokens": ids, **count})

    @router.post("/detokenize")
    async def detokenize(http: Request) -> JSONResponse:
        """The text of `tokens`, special tokens included."""
        body = read(DetokenizeBody, await read_json(http))
        engine, model = _reading(door.slot.ready(), body.model)
        return JSONResponse({"prompt": engine.detokenize(model, body.tokens)})

    return router


def _reading(engine: InferenceBackend, model: str | None) -> tuple[TextTokens, str]:
    """(the engine, the model); the first one served where none is named."""
    name = model or engine.models()[0].name
    if not isinstance(engine, TextTokens):
        raise fail("engine-cannot", name=name, what="show tokens")
    return engine, name


def _ids(engine: TextTokens, model: str, body: TokenizeBody) -> tuple[int, ...]:
    if body.prompt is None:
        return engine.tokenize_conversation(body.request(model))
    return engine.tokenize(model, body.prompt, body.add_special_tokens is not False)
