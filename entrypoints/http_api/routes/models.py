"""`GET /v1/models`: what the engine answers as."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from domain.errors import Place, fail
from entrypoints.http_api.door import Door
from entrypoints.http_api.schema.replies import model_reply


def model_routes(door: Door) -> APIRouter:
    """The routes of models."""
    router = APIRouter(prefix="/v1/models")

    @router.get("")
    async def list_models() -> JSONResponse:
        """Every model served; the first is the default."""
        data = [model_reply(model) for model in door.slot.ready().models()]
        return JSONResponse({"object": "list", "data": data})

    @router.get("/{name:path}")
    async def retrieve_model(name: str) -> JSONResponse:
        """One model; ids may contain slashes and colons."""
        served = {model.name: model for model in door.slot.ready().models()}
        if name not in served:
            names = ", ".join(served)
            raise fail("model-not-served", Place(field="model"), name=name, names=names)
        return JSONResponse(model_reply(served[name]))

    return router
