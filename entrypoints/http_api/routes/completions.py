"""`POST /v1/completions`: texts or token ids continued as they stand, whole or streamed."""

import uuid

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from entrypoints.http_api.answers import answering
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.errors import CLIENT_GONE
from entrypoints.http_api.schema.completion_fields import COMPLETION_FIELDS
from entrypoints.http_api.schema.completion_replies import Completions
from entrypoints.http_api.schema.completions import CompletionBody, read_completion
from entrypoints.http_api.schema.field_table import field_table
from entrypoints.http_api.sse import AnswerStream

DESCRIPTION = f"What follows a text. What every field does:\n\n{field_table(COMPLETION_FIELDS)}"
REQUEST_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CompletionBody.model_json_schema()}},
    }
}


def completion_routes(door: Door) -> APIRouter:
    """The routes of completions."""
    router = APIRouter(prefix="/v1")

    @router.post("/completions", description=DESCRIPTION, openapi_extra=REQUEST_SCHEMA)
    async def create_completion(http: Request) -> Response:
        engine = door.slot.ready()
        request = read_completion(await read_json(http))
        completions = Completions(
            id=f"cmpl-{uuid.uuid4().hex}",
            created=int(door.surroundings.now()),
            model=request.model,
            choices=request.choices,
            include_usage=request.include_usage,
            told=request.generations[0].sampling.logprobs is not None,
        )
        if request.stream:
            return AnswerStream(engine, request.generations, completions, door.translator)
        async with answering(engine, request.generations, http.receive) as pieces:
            async for index, delta in pieces:
                completions.add(index, delta)
            return JSONResponse(completions.reply())
        return Response(status_code=CLIENT_GONE)

    return router
