"""What names of reward models stand for: finished runs of stage reward, or folders."""

import json

from domain.job import Job
from domain.run_spec import Choice, ModelSection
from entrypoints.services.find_rewards import with_reward_folders
from tests.services.world import World, codes

POLICY = ModelSection(name="fake")


def stage(name: str) -> Choice:
    return Choice("ppo", {"rewards": ({"name": "regex"}, {"name": "model", "model": name})})


def reward_run(world: World) -> Job:
    job = world.start()
    results = {"adapter": True, "yields": "reward_model"}
    world.jobs.write_text(job, "results.json", json.dumps(results))
    return job


def test_a_run_stands_for_its_folder_and_anything_else_for_itself() -> None:
    world = World()
    job, find = reward_run(world), world.container.find_adapters()
    named, other = (with_reward_folders(find, stage(n), POLICY) for n in (job.id, "a/folder"))
    assert named.options["rewards"] == (
        {"name": "regex"},
        {"name": "model", "model": f"{job.folder}/model"},
    )
    assert other == stage("a/folder")
    plain = Choice("sft", {})
    assert with_reward_folders(find, plain, POLICY) is plain


def test_a_run_that_writes_is_no_reward_model() -> None:
    world = World()
    job, find = world.start(), world.container.find_adapters()
    assert codes(with_reward_folders, find, stage(job.id), POLICY) == ["reward-model-missing"]
    assert codes(with_reward_folders, find, stage("last"), POLICY) == ["adapter-last"]


def test_a_reward_model_over_another_base_is_refused() -> None:
    world = World()
    job, find = reward_run(world), world.container.find_adapters()
    for policy in (ModelSection(name="other"), ModelSection(name="fake", adapters=("a",))):
        assert codes(with_reward_folders, find, stage(job.id), policy) == ["reward-other-base"]
