"""`POST /v1/chat/completions`: answers to a conversation, whole or streamed."""

import uuid

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from entrypoints.http_api.answers import answering
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.errors import CLIENT_GONE
from entrypoints.http_api.schema.chat import ChatBody, read_chat
from entrypoints.http_api.schema.field_table import field_table
from entrypoints.http_api.schema.replies import Choice, Chunks, Heading, Usage
from entrypoints.http_api.sse import AnswerStream

DESCRIPTION = f"Answers to a conversation. What every field does:\n\n{field_table()}"
REQUEST_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ChatBody.model_json_schema()}},
    }
}


def chat_routes(door: Door) -> APIRouter:
    """The routes of chat."""
    router = APIRouter(prefix="/v1/chat")

    @router.post("/completions", description=DESCRIPTION, openapi_extra=REQUEST_SCHEMA)
    async def create_completion(http: Request) -> Response:
        engine = door.slot.ready()
        request = read_chat(await read_json(http))
        heading = Heading(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            created=int(door.surroundings.now()),
            model=request.model,
        )
        if request.stream:
            chunks = Chunks(heading=heading, include_usage=request.include_usage)
            return AnswerStream(engine, request.generations, chunks, door.translator)
        async with answering(engine, request.generations, http.receive) as pieces:
            choices = [Choice() for _ in request.generations]
            usage = Usage()
            async for index, delta in pieces:
                choices[index].add(delta)
                usage.add(delta)
            return JSONResponse(heading.completion(choices, usage, request.logprobs))
        return Response(status_code=CLIENT_GONE)

    return router
