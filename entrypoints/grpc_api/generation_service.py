"""GenerationService: answers of the served models, piece by piece."""

from contextlib import aclosing
from typing import Any

from domain.errors import fail
from entrypoints.grpc_api.generated.hextune.v1 import generation_pb2, generation_pb2_grpc
from entrypoints.grpc_api.messages import delta_message
from entrypoints.grpc_api.requests import generation_of
from entrypoints.grpc_api.streams import in_thread
from ports.inference import InferenceBackend


class GenerationService(generation_pb2_grpc.GenerationServiceServicer):
    """One engine, or none."""

    def __init__(self, engine: InferenceBackend | None) -> None:
        self._engine = engine

    async def Generate(  # noqa: N802
        self, request: generation_pb2.GenerateRequest, context: Any
    ) -> None:
        """Write the pieces of one answer; a caller that leaves ends the generation."""
        engine = self._engine
        if engine is None:
            raise fail("model-not-served", name=request.model or "default", names="none")
        asked = generation_of(request, engine.models()[0].name)
        async with aclosing(in_thread(lambda gone: engine.generate(asked))) as deltas:
            async for delta in deltas:
                await context.write(delta_message(delta))
