"""`/v1/responses`: answers as OpenAI's newer API has them, kept so that a later one can go on."""

from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.errors import fail
from entrypoints.http_api.answers import answering
from entrypoints.http_api.background import BackgroundResponses
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.errors import CLIENT_GONE
from entrypoints.http_api.response_store import KeptEvents, ResponseStore
from entrypoints.http_api.schema.field_table import field_table
from entrypoints.http_api.schema.pages import Query
from entrypoints.http_api.schema.response_fields import RESPONSE_FIELDS
from entrypoints.http_api.schema.response_replies import ResponseEvents
from entrypoints.http_api.schema.responses import ResponseBody, read_response
from entrypoints.http_api.schema.shown import json_schema
from entrypoints.http_api.sse import TypedAnswerStream

DESCRIPTION = f"An answer that can be gone on from. Fields:\n\n{field_table(RESPONSE_FIELDS)}"


class RetrieveQuery(Query):
    """How a response is retrieved: whole."""

    stream: Literal[False] = False


def response_routes(door: Door) -> APIRouter:
    """The routes of responses."""
    store, background = ResponseStore(), BackgroundResponses(door.translator)
    router = APIRouter(prefix="/v1/responses", lifespan=background.ended_with)

    @router.post("", description=DESCRIPTION, openapi_extra=json_schema(ResponseBody))
    async def create_response(http: Request) -> Response:
        engine = door.slot.ready()
        body = read_response(await read_json(http))
        previous, before = body.previous_response_id, []
        if previous is not None:
            background.check_ended(previous, "previous_response_id")
            before = store.get(previous, "previous_response_id").items
        generation = body.generation(before)
        events = ResponseEvents(body=body, created=int(door.surroundings.now()))
        kept = KeptEvents(events, before, store)
        if body.background:
            engine.check()
            await to_thread.run_sync(engine.check_model, body.model)
            language = door.translator.choose(http.headers.get("accept-language"))
            return JSONResponse(background.begin(engine, generation, kept, language))
        if body.stream:
            return TypedAnswerStream(engine, [generation], kept, door.translator)
        async with answering(engine, [generation], http.receive) as pieces:
            async for _, delta in pieces:
                kept.take(delta)
            return JSONResponse(kept.keep())
        return Response(status_code=CLIENT_GONE)

    @router.get("/{id}")
    async def retrieve_response(
        id: str, query: Annotated[RetrieveQuery, Parameters()]
    ) -> JSONResponse:
        """A response as it is now."""
        running = background.find(id)
        reply = store.get(id).reply if running is None else running.kept.events.response()
        return JSONResponse(reply)

    @router.post("/{id}/cancel")
    async def cancel_response(id: str) -> JSONResponse:
        """End a response in the background; one that has ended is told as it is."""
        running = background.find(id)
        if running is not None:
            await running.cancel()
            return JSONResponse(running.kept.events.response())
        reply = store.get(id).reply
        if not reply["background"]:
            raise fail("response-not-background", id=id)
        return JSONResponse(reply)

    @router.delete("/{id}")
    async def delete_response(id: str) -> JSONResponse:
        """Forget a response."""
        background.check_ended(id)
        store.remove(id)
        return JSONResponse({"id": id, "object": "response", "deleted": True})

    return router
