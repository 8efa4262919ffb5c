"""The gRPC server itself: health, reflection, the API key, its port, and its end."""

import asyncio
import signal
import socket
import subprocess
import sys
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from domain.errors import HextuneError
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2, jobs_pb2_grpc
from entrypoints.grpc_api.server import SERVICES, serve, start_server
from tests.doors.grpc_fixtures import connected, create, failure, waiting_container
from tests.fakes.container import fake_container

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
KEY = "sekret"
SERVER = """
from entrypoints.grpc_api.server import serve
from tests.doors.grpc_fixtures import waiting_container
serve(waiting_container(), host="127.0.0.1", port=0, engine=None, api_key=None)
"""


def bearer(key: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {key}"),)


async def health(channel: grpc.aio.Channel, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


def reflected(channel: grpc.aio.Channel, **options: Any) -> Any:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    return stub.ServerReflectionInfo(iter([request]), **options)


def test_the_services_are_three() -> None:
    assert SERVICES == (
        "hextune.v1.JobService",
        "hextune.v1.ModelService",
        "hextune.v1.GenerationService",
    )


async def test_every_service_is_healthy_and_an_unknown_one_is_not_found() -> None:
    async with connected(fake_container()) as client:
        for service in ("", *SERVICES):
            assert await health(client.channel, service) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await health(client.channel, "hextune.v1.Nothing")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services() -> None:
    async with connected(fake_container()) as client:
        (answer,) = [answer async for answer in reflected(client.channel)]
    names = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= names


@pytest.mark.parametrize(
    "metadata", [(), bearer("wrong"), bearer(""), (("authorization", KEY),), bearer(KEY + "x")]
)
async def test_without_the_key_calls_are_unauthenticated(metadata: Any) -> None:
    async with connected(fake_container(), api_key=KEY) as client:
        calls = [
            client.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=metadata),
            client.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id="a"), metadata=metadata),
            reflected(client.channel, metadata=metadata),
        ]
        failures = [await failure(call) for call in calls]
        assert await health(client.channel, "") == SERVING
    for failed in failures:
        assert failed.code is grpc.StatusCode.UNAUTHENTICATED
        assert failed.info.reason == "access-denied"
        assert failed.trailers["x-request-id"]
        assert KEY not in str(failed)


async def test_with_the_key_calls_and_reflection_pass() -> None:
    async with connected(fake_container(), api_key=KEY) as client:
        listed = await client.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(KEY))
        answers = [answer async for answer in reflected(client.channel, metadata=bearer(KEY))]
    assert list(listed.jobs) == []
    assert len(answers) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])
def test_a_host_open_to_others_needs_a_key(host: str) -> None:
    with pytest.raises(HextuneError) as raised:
        serve(fake_container(), host=host, port=0, engine=None, api_key=None)
    assert raised.value.problems[0].code == "serve-needs-key"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_needs_no_key(host: str) -> None:
    async with connected(fake_container(), host=host) as client:
        assert await health(client.channel, "") == SERVING


async def test_an_open_host_is_served_with_a_key() -> None:
    async with connected(fake_container(), host="0.0.0.0", api_key=KEY) as client:
        assert await health(client.channel, "") == SERVING


async def test_a_taken_port_is_reported_with_the_reason() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HextuneError) as raised:
            await start_server(fake_container(), port=port)
    (found,) = raised.value.problems
    assert found.code == "serve-port-taken"
    assert found.facts == {
        "host": "127.0.0.1",
        "port": str(port),
        "reason": "Address already in use",
    }


async def test_two_servers_never_share_a_port() -> None:
    async with connected(fake_container()) as client:
        with pytest.raises(HextuneError, match="cannot be used"):
            await start_server(fake_container(), port=client.running.port)


async def test_draining_tells_health_watchers_and_ends_job_watches() -> None:
    async with connected(waiting_container()) as client:
        job = await client.jobs.CreateJob(create())
        watch = client.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id))
        assert (await anext(aiter(watch))).seq == 1
        states = health_pb2_grpc.HealthStub(client.channel).Watch(
            health_pb2.HealthCheckRequest(service=SERVICES[0])
        )
        assert (await states.read()).status == SERVING
        draining = asyncio.create_task(client.running.drain(grace_s=5))
        assert (await asyncio.wait_for(states.read(), 5)).status == NOT_SERVING
        failed = await asyncio.wait_for(failure(watch), 5)
        states.cancel()
        await asyncio.wait_for(draining, 5)
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.UNAVAILABLE, "server-stopping")


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_while_a_watch_goes_on(wanted: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = await asyncio.to_thread(process.stderr.readline)
    assert line.startswith("gRPC on 127.0.0.1:")
    address = line.removeprefix("gRPC on ").strip()
    async with grpc.aio.insecure_channel(address) as channel:
        jobs = jobs_pb2_grpc.JobServiceStub(channel)  # type: ignore[no-untyped-call]
        job = await jobs.CreateJob(create())
        watch = jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id))
        assert (await anext(aiter(watch))).seq == 1
        process.send_signal(wanted)
        failed = await failure(watch)
        out, err = await asyncio.to_thread(process.communicate, timeout=15)
    assert failed.info.reason == "server-stopping"
    assert (process.returncode, out, err) == (0, "", "")
