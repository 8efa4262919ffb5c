"""The official client end to end: upload, job, events, chat with what was trained, all at once.

A real worker process trains a tiny model, and the server answers as its result without a restart.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from entrypoints.container import Container, make_container
from entrypoints.services.fine_tuned_models import REMOVED
from tests.doors.http_server import client, serving
from tests.doors.tuning_server import chat_row, lines, pair_row
from tests.fixtures.tiny_model import build_tiny_model

LONGEST_S = 150
SETTINGS = {
    "hextune": {
        "method": {"rank": 4},
        "schedule": {"max_steps": 4},
        "optimizer": {"learning_rate": 0.05},
        "output": {"checkpoint_every_steps": 2},
        "precision": {"mode": "full"},
    }
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def served(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Container]]:
    os.environ["OMP_NUM_THREADS"] = "1"
    container = make_container(str(tmp_path_factory.mktemp("runs")))
    engine = container.open_engine(container.resolve_model()(str(tiny)))
    with serving(engine, container=container) as address:
        yield address, container
    engine.close()


def finished(api: Any, id: str) -> FineTuningJob:
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        job: FineTuningJob = api.fine_tuning.jobs.retrieve(id)
        if job.status in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(0.3)
    pytest.fail("the job did not end")


def said(api: Any, model: str) -> str:
    messages = [{"role": "user", "content": "What is it?"}]
    answer = api.chat.completions.create(
        model=model, messages=messages, temperature=0, max_completion_tokens=12
    )
    return str(answer.choices[0].message.content)


def test_a_job_from_upload_to_chat(served: tuple[str, Container], tiny: Path) -> None:
    address, container = served
    api: Any = client(address)
    assert [model.id for model in api.models.list()] == [str(tiny)]
    before = said(api, str(tiny))

    rows = lines([chat_row("What is it?", "the question the question")] * 8)
    file = api.files.create(file=("rows.jsonl", rows), purpose="fine-tune")
    started = api.fine_tuning.jobs.create(
        model=str(tiny), training_file=file.id, suffix="cats", extra_body=SETTINGS
    )
    FineTuningJob.model_validate(started.to_dict(mode="json"))
    text = httpx.get(
        f"{address}/v1/fine_tuning/jobs/{started.id}/events",
        params={"stream": "true"},
        timeout=LONGEST_S,
    ).text
    assert text.count("training loss=") == 4
    job = finished(api, started.id)
    assert job.status == "succeeded", job.error
    FineTuningJob.model_validate(job.to_dict(mode="json"))
    assert (job.trained_tokens or 0) > 0
    for event in api.fine_tuning.jobs.list_events(job.id):
        FineTuningJobEvent.model_validate(event.to_dict(mode="json"))
    table = api.files.content(job.result_files[0]).text
    assert len(table.splitlines()) == 1 + 4

    name = job.fine_tuned_model
    assert name == f"ft:tiny:hextune:cats:{job.id}"
    assert [model.id for model in api.models.list()] == [str(tiny), name]
    tuned = said(api, name)
    assert tuned != before
    assert said(api, str(tiny)) == before
    assert said(api, name) == tuned

    found = list(api.fine_tuning.jobs.checkpoints.list(job.id))
    for checkpoint in found:
        FineTuningJobCheckpoint.model_validate(checkpoint.to_dict(mode="json"))
    assert [each.step_number for each in found] == [4, 2]
    assert said(api, found[0].fine_tuned_model_checkpoint) == tuned
    assert said(api, found[1].fine_tuned_model_checkpoint) != before

    counted = httpx.get(f"{address}/metrics").text
    assert 'hextune_jobs{status="succeeded"} 1.0' in counted
    assert "hextune_running_generations 0.0" in counted

    api.models.delete(name)
    with pytest.raises(openai.NotFoundError):
        said(api, name)
    assert container.find_run().finished(job.id).id == job.id


def test_training_goes_on_from_a_fine_tuned_model(
    served: tuple[str, Container], tiny: Path
) -> None:
    """Only planned: a dry run finds the adapters underneath and the base they lie over."""
    address, _ = served
    api: Any = client(address)
    jobs = api.fine_tuning.jobs.list().data
    rows = api.files.list().data[-1]
    name = f"ft:tiny:hextune:cats:{jobs[-1].id}"
    request = {"model": name, "training_file": rows.id, "hextune": {"dry_run": True}}
    reply = httpx.post(f"{address}/v1/fine_tuning/jobs", json=request, timeout=60)
    assert reply.status_code == 200, reply.text
    decisions = {found["key"]: found["value"] for found in reply.json()["decisions"]}
    assert decisions["model.name"] == str(tiny)
    assert decisions["model.adapters.0"] == jobs[-1].id


def planned(address: str, tiny: Path, rows: bytes, **fields: Any) -> dict[str, Any]:
    """The decisions of a dry run."""
    file = client(address).files.create(file=("rows.jsonl", rows), purpose="fine-tune")
    request = {"model": str(tiny), "training_file": file.id, "hextune": {"dry_run": True}}
    url = f"{address}/v1/fine_tuning/jobs"
    reply = httpx.post(url, json={**request, **fields}, timeout=100)
    assert reply.status_code == 200, reply.text
    return {found["key"]: found["value"] for found in reply.json()["decisions"]}


def test_preferences_are_planned_as_dpo(served: tuple[str, Container], tiny: Path) -> None:
    numbers = {"beta": 0.3, "batch_size": 2, "n_epochs": "auto"}
    method = {"type": "dpo", "dpo": {"hyperparameters": numbers}}
    found = planned(served[0], tiny, lines([pair_row()] * 4), method=method)
    assert (found["stage.name"], found["stage.beta"]) == ("dpo", 0.3)
    assert found["batching.per_device"] == 2


def test_prompts_with_a_grader_are_planned_as_grpo(
    served: tuple[str, Container], tiny: Path
) -> None:
    row = {"messages": [{"role": "user", "content": "2+2?"}], "reference_answer": "4"}
    grader = {
        "type": "string_check",
        "name": "exact",
        "input": "{{sample.output_text}}",
        "operation": "eq",
        "reference": "{{item.reference_answer}}",
    }
    method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    found = planned(served[0], tiny, lines([row] * 4), method=method)
    assert found["stage.name"] == "grpo"
    assert found["stage.rewards.0.compare"] is True


def test_a_model_over_another_base_says_which_is_loaded(
    served: tuple[str, Container], tiny: Path
) -> None:
    address, container = served
    other = container.fine_tune_jobs().all()[0]
    spec = container.jobs().read_text(other, "spec.json")
    moved = spec.replace(str(tiny), "/elsewhere/tiny")
    container.jobs().write_text(other, "spec.json", moved)
    assert moved != spec
    container.jobs().write_text(other, REMOVED, "")  # takes the mark of the first test away
    with pytest.raises(openai.BadRequestError) as caught:
        said(client(address), f"ft:tiny:hextune:cats:{other.id}")
    assert caught.value.code == "model-other-base"
    assert "/elsewhere/tiny" in caught.value.message
