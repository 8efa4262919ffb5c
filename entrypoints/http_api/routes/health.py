"""`/health`: whether requests can be answered. It needs no key and tells no names."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from domain.errors import HextuneError
from entrypoints.http_api.door import Door


def health_routes(door: Door) -> APIRouter:
    """The health routes."""
    router = APIRouter()

    @router.get("/health")
    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether the model is there: 200 and `ready`, or 503 and `loading`."""
        try:
            door.slot.ready().check()
        except HextuneError:  # a health check asks for no reasons; requests are told them
            return JSONResponse({"status": "loading"}, 503, headers={"retry-after": "1"})
        return JSONResponse({"status": "ready"})

    @router.get("/health/live")
    async def live() -> JSONResponse:
        """Whether the process answers at all."""
        return JSONResponse({"status": "live"})

    return router
