"""RLHF as one file on a tiny model: the recipe runs to its end, and its result chats and merges."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dependency_injector import providers
from safetensors.torch import load_file
from typer.testing import CliRunner

from domain.job import Job, JobKind, JobStatus
from entrypoints.cli.main import app
from entrypoints.container import Container, make_container
from ports.spec_reader import SpecText
from tests.fakes.processes import FakeLauncher

RECIPE = Path(__file__).parents[2] / "adapters" / "data" / "recipes" / "rlhf.yaml"
GRPO: Mapping[str, Any] = {
    "name": "grpo", "from": "sft",
    "stage": {"name": "grpo", "generations": 4, "max_new_tokens": 8,
              "rewards": [{"name": "regex", "pattern": "e"}]},
    "optimizer": {"learning_rate": 0.01}, "schedule": {"max_steps": 2},
}  # fmt: skip


def recipe(model: Path) -> dict[str, Any]:
    """The shipped recipe over a tiny model, two steps each, with GRPO as one more step."""
    spec: dict[str, Any] = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    spec["model"]["name"] = str(model)
    for step in spec["pipeline"]:
        step["schedule"] = {"max_steps": 2}
        step["optimizer"] = {"learning_rate": 0.01}
    ppo = spec["pipeline"][-1]
    ppo["stage"]["max_new_tokens"] = 8
    return {**spec, "pipeline": [*spec["pipeline"], dict(GRPO)]}


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Container, Job]:
    """The pipeline, every worker of it played in this process."""
    container = make_container(str(tmp_path_factory.mktemp("rlhf") / "runs"))

    def work(job: Job, resume: bool) -> None:
        trains = job.kind is JobKind.TRAIN
        does = container.execute_run if trains else container.execute_pipeline
        does()(job.id, resume=resume, stop_asked=lambda: False)

    launcher = FakeLauncher(work)
    container.launcher.override(providers.Object(launcher))
    text = SpecText(text=json.dumps(recipe(tiny_model)), format="json", source="rlhf.json")
    started = container.start_job()(text, None)
    return container, container.find_run()(started.id)


def part(finished: tuple[Container, Job], step: str) -> Job:
    """The run of a step."""
    container, job = finished
    results = json.loads(container.jobs().read_text(job, "results.json"))
    found: Job = container.find_run()(results["steps"][step])
    return found


def results_of(finished: tuple[Container, Job], step: str) -> dict[str, Any]:
    text = finished[0].jobs().read_text(part(finished, step), "results.json")
    found: dict[str, Any] = json.loads(text)
    return found


def test_pretraining_fine_tuning_a_reward_model_and_ppo_are_one_file(
    finished: tuple[Container, Job],
) -> None:
    container, job = finished
    assert job.status is JobStatus.SUCCEEDED, job.problem
    yields = {step: results_of(finished, step)["yields"] for step in ("pretrain", "reward", "ppo")}
    assert yields == {"pretrain": "base_model", "reward": "reward_model", "ppo": "chat_model"}
    spec = json.loads(container.jobs().read_text(part(finished, "ppo"), "spec.json"))
    assert spec["stage"]["rewards"][0]["model"] == f"{part(finished, 'reward').folder}/model"
    assert spec["model"]["adapters"] == [part(finished, "sft").id]


def test_a_plan_of_a_reward_model_to_come_is_the_plan_of_the_one_that_came(
    finished: tuple[Container, Job],
) -> None:
    container, job = finished
    ahead = json.loads(container.jobs().read_text(job, "plan.json"))["steps"][3]
    assert ahead["name"] == "ppo"
    ran = json.loads(container.jobs().read_text(part(finished, "ppo"), "plan.json"))
    assert ahead["plan"]["trainer"] == ran["trainer"]
    assert ahead["plan"]["memory"] == ran["memory"]
    assert ran["trainer"]["beside"] > 0


@pytest.mark.parametrize("step", ["ppo", "grpo"])
def test_what_was_learned_from_rewards_chats_and_merges(
    finished: tuple[Container, Job], step: str, tmp_path: Path
) -> None:
    """What is merged answers as the base with its adapters, whose own weights have moved."""
    run = part(finished, step)
    weights = load_file(Path(run.folder) / "model" / "adapter_model.safetensors")
    assert any("lora_B" in name and weight.any() for name, weight in weights.items())
    runs, merged = str(Path(run.folder).parent), str(tmp_path / "merged")

    def tune(*arguments: str) -> Any:
        command = [*arguments, "--json", "--runs", runs]
        return json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)

    asking = ("--ask", "What is it?", "--temperature", "0", "--max-tokens", "8")
    ours = tune("chat", run.id, *asking)["answers"][run.id]
    assert tune("merge", run.id, "--output", merged)["max_difference"] < 1e-3
    assert tune("chat", merged, *asking)["answers"] == {merged: ours}
