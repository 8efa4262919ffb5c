"""ModelService: served models, and those that finished runs made."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from domain.errors import fail
from domain.job import Job, JobStatus
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import models_pb2, models_pb2_grpc
from entrypoints.grpc_api.messages import served_message, timestamp
from entrypoints.grpc_api.requests import page_of
from ports.inference import InferenceBackend


class ModelService(models_pb2_grpc.ModelServiceServicer):
    """Models by name."""

    def __init__(self, container: Container, engine: InferenceBackend | None) -> None:
        self._container = container
        self._engine = engine

    async def ListModels(  # noqa: N802
        self, request: models_pb2.ListModelsRequest, context: Any
    ) -> models_pb2.ListModelsResponse:
        """A page of models, served ones first."""
        models = await asyncio.to_thread(self._all)
        page, after = page_of(
            models, lambda model: model.name, request.page_size, request.page_token
        )
        return models_pb2.ListModelsResponse(models=page, next_page_token=after)

    async def GetModel(  # noqa: N802
        self, request: models_pb2.GetModelRequest, context: Any
    ) -> models_pb2.Model:
        """A model by its whole name."""
        models = {model.name: model for model in await asyncio.to_thread(self._all)}
        if request.name not in models:
            raise fail("model-not-served", name=request.name, names=", ".join(models) or "none")
        return models[request.name]

    def _all(self) -> Sequence[models_pb2.Model]:
        """Every model once; a served one that a run made carries that run's id."""
        finished = {
            job.id: job
            for job in self._container.find_run().all()
            if job.status is JobStatus.SUCCEEDED
        }
        served = [served_message(model) for model in self._engine.models()] if self._engine else []
        for model in served:
            model.job_id = model.name if model.name in finished else ""
        names = {model.name for model in served}
        made = [self._of_run(job) for name, job in finished.items() if name not in names]
        return [*served, *made]

    def _of_run(self, job: Job) -> models_pb2.Model:
        spec = self._document(job, "spec.json")
        return models_pb2.Model(
            name=job.id,
            base=spec["model"]["name"],
            has_adapter=self._document(job, "results.json")["adapter"],
            job_id=job.id,
            created_at=timestamp(job.created_at),
        )

    def _document(self, job: Job, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._container.jobs().read_text(job, name) or "{}")
        return loaded
