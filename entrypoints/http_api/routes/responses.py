"""`/v1/responses`: answers as OpenAI's newer API has them, kept so that a later one can go on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.sampling import TextDelta
from entrypoints.http_api.answers import answering
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.errors import CLIENT_GONE
from entrypoints.http_api.response_store import ResponseStore
from entrypoints.http_api.schema.field_table import field_table
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.response_fields import RESPONSE_FIELDS
from entrypoints.http_api.schema.response_replies import ResponseEvents
from entrypoints.http_api.schema.responses import Item, ResponseBody, read_response
from entrypoints.http_api.schema.shown import json_schema
from entrypoints.http_api.sse import TypedAnswerStream

DESCRIPTION = f"An answer that can be gone on from. Fields:\n\n{field_table(RESPONSE_FIELDS)}"


@dataclass(slots=True)
class KeptEvents:
    """Implements sse.NumberedChunking: the events of a response, which is kept at its end."""

    events: ResponseEvents
    before: list[Item]
    store: ResponseStore = field(repr=False)

    def next_number(self) -> int:
        """The number of the event that comes next."""
        return self.events.next_number()

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The events of one piece."""
        return self.events.of(index, delta)

    def last(self) -> Iterator[Reply]:
        """The last event, once the response is kept."""
        self.keep()
        return self.events.last()

    def keep(self) -> dict[str, Any]:
        """The whole response, which is kept where it is wanted."""
        reply = dict(self.events.response())
        if self.events.body.store is not False:
            self.store.add(reply, [*self.before, *given(self.events.body), *self.events.output])
        return reply


def given(body: ResponseBody) -> list[Item]:
    """The items of a request."""
    return [item.model_dump(exclude_none=True) for item in body.input]


def response_routes(door: Door) -> APIRouter:
    """The routes of responses."""
    router = APIRouter(prefix="/v1/responses")
    store = ResponseStore()

    @router.post("", description=DESCRIPTION, openapi_extra=json_schema(ResponseBody))
    async def create_response(http: Request) -> Response:
        engine = door.slot.ready()
        body = read_response(await read_json(http))
        previous = body.previous_response_id
        before = [] if previous is None else store.get(previous, "previous_response_id").items
        generations = [body.generation(before)]
        events = ResponseEvents(body=body, created=int(door.surroundings.now()))
        kept = KeptEvents(events, before, store)
        if body.stream:
            return TypedAnswerStream(engine, generations, kept, door.translator)
        async with answering(engine, generations, http.receive) as pieces:
            async for index, delta in pieces:
                for _ in events.of(index, delta):
                    pass
            return JSONResponse(kept.keep())
        return Response(status_code=CLIENT_GONE)

    @router.get("/{id}")
    async def retrieve_response(id: str) -> Response:
        return JSONResponse(store.get(id).reply)

    @router.delete("/{id}")
    async def delete_response(id: str) -> Response:
        store.remove(id)
        return JSONResponse({"id": id, "object": "response", "deleted": True})

    return router
