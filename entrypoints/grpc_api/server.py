"""The gRPC server: services, health, reflection, and an end that lets calls finish."""

import asyncio
import ipaddress
import signal
import socket
import sys
import threading
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from domain.errors import fail
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import (
    generation_pb2,
    generation_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)
from entrypoints.grpc_api.generation_service import GenerationService
from entrypoints.grpc_api.interceptors import KeyInterceptor, StatusInterceptor
from entrypoints.grpc_api.job_service import JobService
from entrypoints.grpc_api.model_service import ModelService
from ports.inference import InferenceBackend

GRACE_S = 10.0
"""How long calls may go on once the server was asked to end."""
SERVICES = tuple(
    service.full_name
    for module in (jobs_pb2, models_pb2, generation_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that listens."""

    server: grpc.aio.Server
    health: health_aio.HealthServicer
    calls: StatusInterceptor
    draining: threading.Event
    port: int

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Report NOT_SERVING, refuse new calls, end the watches, let other calls finish."""
        self.draining.set()
        await self.health.enter_graceful_shutdown()
        await self.server.stop(grace_s)
        await self.calls.finished()


async def start_server(
    container: Container,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    engine: InferenceBackend | None = None,
    api_key: str | None = None,
) -> RunningServer:
    """A server that listens on `host`; port 0 takes a free one.

    Raises HextuneError for a host open to others without an API key, and for a port in use.
    """
    admit = container.admit(api_key)
    _check_exposure(host, guarded=admit.closed)
    _check_port(host, port)
    calls = StatusInterceptor(container.translator())
    interceptors = [calls, KeyInterceptor(admit)]
    # With port sharing, the default on Linux, a second server would take half of the calls.
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    draining = threading.Event()
    _add_services(server, container, engine, draining)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((*SERVICES, HEALTH, reflection.SERVICE_NAME), server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    taken = server.add_insecure_port(address)
    await server.start()
    for name in SERVICES:
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    return RunningServer(server=server, health=health, calls=calls, draining=draining, port=taken)


def serve(
    container: Container,
    *,
    host: str,
    port: int,
    engine: InferenceBackend | None,
    api_key: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT; the caller closes the engine. Raises as `start_server`."""
    asyncio.run(_serve(container, host, port, engine, api_key))


async def _serve(
    container: Container,
    host: str,
    port: int,
    engine: InferenceBackend | None,
    api_key: str | None,
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    running = await start_server(container, host=host, port=port, engine=engine, api_key=api_key)
    for wanted in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wanted, stop.set)
    print(f"gRPC on {host}:{running.port}", file=sys.stderr, flush=True)
    await stop.wait()
    await running.drain()


def _add_services(
    server: grpc.aio.Server,
    container: Container,
    engine: InferenceBackend | None,
    draining: threading.Event,
) -> None:
    jobs, models = JobService(container, draining), ModelService(container, engine)
    jobs_pb2_grpc.add_JobServiceServicer_to_server(jobs, server)  # type: ignore[no-untyped-call]
    models_pb2_grpc.add_ModelServiceServicer_to_server(models, server)  # type: ignore[no-untyped-call]
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(  # type: ignore[no-untyped-call]
        GenerationService(engine), server
    )


def _check_exposure(host: str, *, guarded: bool) -> None:
    if guarded or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:  # another host name; where it leads is not for this process to vouch for
        loopback = False
    if not loopback:
        raise fail("serve-needs-key", host=host)


def _check_port(host: str, port: int) -> None:
    """Bind once ahead of gRPC, which would only say that it failed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or error
        raise fail("serve-port-taken", host=host, port=port, reason=reason) from None
