"""A gRPC server on loopback over the fakes, a real client, and errors as a client decodes them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from dependency_injector import providers
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from grpc_status import rpc_status

from domain.job import Job
from domain.model_handle import ResolvedModel
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import (
    generation_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2_grpc,
)
from entrypoints.grpc_api.server import RunningServer, start_server
from ports.inference import InferenceBackend
from tests.fakes.container import SPEC, fake_container
from tests.fakes.models import CPU, HANDLE
from tests.fakes.processes import FakeLauncher, FakeSurroundings

YAML = jobs_pb2.SpecFormat.SPEC_FORMAT_YAML


@dataclass(frozen=True, slots=True)
class Client:
    """Stubs of one channel, and the server behind it."""

    channel: grpc.aio.Channel
    running: RunningServer
    jobs: Any
    models: Any
    generation: Any


@asynccontextmanager
async def connected(container: Container, **options: Any) -> AsyncIterator[Client]:
    running = await start_server(container, **options)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        yield Client(
            channel=channel,
            running=running,
            jobs=jobs_pb2_grpc.JobServiceStub(channel),  # type: ignore[no-untyped-call]
            models=models_pb2_grpc.ModelServiceStub(channel),  # type: ignore[no-untyped-call]
            generation=generation_pb2_grpc.GenerationServiceStub(channel),  # type: ignore[no-untyped-call]
        )
    await running.drain(grace_s=0)


class ShortSleeps(FakeSurroundings):
    """A clock whose waits are real and short, for watches that follow a run."""

    def sleep(self, seconds: float) -> None:
        time.sleep(0.005)


def waiting_container() -> Container:
    """A container whose started runs stay queued: no worker ever moves them."""
    container = fake_container()
    container.launcher.override(providers.Object(FakeLauncher()))
    container.surroundings.override(providers.Object(ShortSleeps()))
    return container


def echo_engine(container: Container, label: str = "echo") -> InferenceBackend:
    resolved = ResolvedModel(label=label, handle=HANDLE, created_at=0.0)
    engine: InferenceBackend = container.catalog().part("engines", "echo").Engine(resolved, CPU)
    return engine


def create(**changes: Any) -> jobs_pb2.CreateJobRequest:
    return jobs_pb2.CreateJobRequest(**{"spec_text": SPEC, "spec_format": YAML, **changes})


def only_job(container: Container) -> Job:
    (job,) = container.jobs().all()
    found: Job = job
    return found


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, decoded."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo
    localized: LocalizedMessage
    violations: list[Any]
    trailers: dict[str, Any]


def decoded(error: Any) -> Failure:
    """The details of an AioRpcError; fails where it has none."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no details in {error.code()} {error.details()}"
    info, localized, bad = ErrorInfo(), LocalizedMessage(), BadRequest()
    for detail in status.details:
        for kind in (info, localized, bad):
            detail.Unpack(kind)
    return Failure(
        code=error.code(),
        message=error.details() or "",
        info=info,
        localized=localized,
        violations=list(bad.field_violations),
        trailers=dict(error.trailing_metadata()),
    )


async def failure(call: Any) -> Failure:
    """The failure `call` ends with; fails where it succeeds."""
    try:
        streams = hasattr(call, "__aiter__")
        answers = [answer async for answer in call] if streams else [await call]
    except grpc.aio.AioRpcError as error:
        return decoded(error)
    raise AssertionError(f"it succeeded with {answers}")
