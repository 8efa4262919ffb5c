"""One spec, three ways in: the same hash and, with the same seed, the same losses."""

import json
import subprocess
import sys
from pathlib import Path

import grpc

from domain.events import EventKind
from domain.job import Job
from entrypoints.container import Container, make_container
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2, jobs_pb2_grpc
from entrypoints.grpc_api.server import start_server
from ports.spec_reader import SpecText


def spec(model: Path, rows: Path) -> str:
    return (
        f"model: {{name: '{model}'}}\n"
        f"data: {{train: [{{path: '{rows}'}}]}}\n"
        "method: {name: lora, rank: 4, dropout: 0.1}\n"
        "optimizer: {learning_rate: 1e-2}\n"
        "schedule: {max_steps: 3}\n"
        "batching: {per_device: 2}\n"
        "seed: 5\n"
    )


def losses(container: Container, job: Job) -> list[float]:
    events = container.watch_run()(job.id)
    return [float(e.data["loss"]) for e in events if e.kind is EventKind.STEP]


async def test_cli_grpc_and_service_train_the_same(
    tmp_path: Path, tiny_model: Path, rows_file: Path
) -> None:
    text = spec(tiny_model, rows_file)
    container = make_container(str(tmp_path / "runs"))
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")

    by_service = container.start_run()(SpecText(text=text, format="yaml", source="test"))
    service_losses = losses(container, by_service)

    command = [sys.executable, "-m", "hextune", "train", "run.yaml", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    cli_events = [json.loads(line) for line in done.stdout.splitlines()]
    cli_losses = [e["data"]["loss"] for e in cli_events if e["kind"] == "step"]
    cli_hash = cli_events[0]["data"]["spec_hash"]

    server = await start_server(container, host="127.0.0.1", port=0, engine=None, api_key=None)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        jobs = jobs_pb2_grpc.JobServiceStub(channel)  # type: ignore[no-untyped-call]
        created = await jobs.CreateJob(
            jobs_pb2.CreateJobRequest(spec_text=text, spec_format=jobs_pb2.SPEC_FORMAT_YAML)
        )
        grpc_losses = [
            event.data["loss"]
            async for event in jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=created.id))
            if event.kind == jobs_pb2.EVENT_KIND_STEP
        ]
    await server.drain()

    assert by_service.spec_hash == cli_hash == created.spec_hash
    assert len(service_losses) == 3
    assert service_losses == cli_losses == grpc_losses
