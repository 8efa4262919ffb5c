"""`/v1/models`: what the engine answers as, and every finished fine-tune over its base."""

from anyio import to_thread
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
        models = await to_thread.run_sync(door.slot.ready().models)
        return JSONResponse({"object": "list", "data": [model_reply(model) for model in models]})

    @router.get("/{name:path}")
    async def retrieve_model(name: str) -> JSONResponse:
        """One model; ids may contain slashes and colons."""
        served = {m.name: m for m in await to_thread.run_sync(door.slot.ready().models)}
        if name not in served:
            names = ", ".join(served)
            raise fail("model-not-served", Place(field="model"), name=name, names=names)
        return JSONResponse(model_reply(served[name]))

    @router.delete("/{name:path}")
    async def delete_model(name: str) -> JSONResponse:
        """Serve a fine-tuned model no more; what the run made stays in its folder."""
        engine = door.slot.ready()
        await to_thread.run_sync(door.container.fine_tuned_models().remove, name)
        await to_thread.run_sync(engine.forget, name)
        return JSONResponse({"id": name, "object": "model", "deleted": True})

    return router
