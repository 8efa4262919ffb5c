"""`POST /v1/embeddings`: the mean of the last hidden states over a text's tokens, at length 1.

Language models are not trained for it, so that neighbours mean less than an embedding model's.
"""

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from domain.errors import fail
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.schema.field_table import field_table
from entrypoints.http_api.schema.texts import (
    EMBEDDING_FIELDS,
    EmbeddingBody,
    embeddings_reply,
    read_embedding,
)
from ports.tokens import Embedder

DESCRIPTION = f"{__doc__}\n\nWhat every field does:\n\n{field_table(EMBEDDING_FIELDS)}"
REQUEST_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": EmbeddingBody.model_json_schema()}},
    }
}


def embedding_routes(door: Door) -> APIRouter:
    """The route of embeddings."""
    router = APIRouter(prefix="/v1")

    @router.post("/embeddings", description=DESCRIPTION, openapi_extra=REQUEST_SCHEMA)
    async def create_embedding(http: Request) -> JSONResponse:
        engine = door.slot.ready()
        body = read_embedding(await read_json(http))
        if not isinstance(engine, Embedder):
            raise fail("engine-cannot", name=body.model, what="embed texts")
        vectors, tokens = await to_thread.run_sync(embedded, engine, body)
        return JSONResponse(embeddings_reply(body, vectors, tokens))

    return router


def embedded(engine: Embedder, body: EmbeddingBody) -> tuple[list[tuple[float, ...]], int]:
    """(vectors of all texts, their tokens)."""
    ids = [
        engine.tokenize(body.model, each, True) if isinstance(each, str) else each
        for each in body.input
    ]
    return [engine.embed(body.model, each) for each in ids], sum(map(len, ids))
