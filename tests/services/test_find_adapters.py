"""What names under model.adapters stand for: runs with what they were trained over, or folders."""

import json
from typing import Any

from domain.run_spec import ModelSection
from tests.fakes.container import SPEC
from tests.fakes.models import FakeModelBackend
from tests.services.world import World, codes, problems, spec_text


def over(*adapters: str) -> str:
    """The fakes' spec with adapters on its model."""
    section = json.dumps({"name": "fake", "adapters": adapters})
    return SPEC.replace("{name: fake}", section)


def stack(world: World, *names: str) -> tuple[str, ...]:
    section = ModelSection(name="fake", adapters=names)
    found: ModelSection = world.container.find_adapters().in_section(section)
    return tuple(found.adapters)


def test_a_run_stands_for_its_folder_and_anything_else_for_itself() -> None:
    world = World()
    job = world.start()
    assert stack(world, job.id, "some/folder") == (f"{job.folder}/model", "some/folder")
    assert stack(world) == ()


def test_a_run_brings_what_it_was_trained_over_and_brings_it_once() -> None:
    world = World()
    first = world.start()
    second = world.start(over("some/folder", first.id))
    whole = ("some/folder", f"{first.folder}/model", f"{second.folder}/model")
    assert stack(world, second.id) == whole
    assert stack(world, "some/folder", first.id, second.id) == whole
    assert stack(world, "other", second.id) == ("other", *whole)


def test_a_continued_adapter_takes_the_place_of_the_one_before() -> None:
    world = World()
    first = world.start()
    second = world.start(over("some/folder", first.id))
    results = {"adapter": True, "continued": True}
    world.jobs.write_text(second, "results.json", json.dumps(results))
    assert stack(world, second.id) == ("some/folder", f"{second.folder}/model")
    resolved = world.container.resolve_model()(second.id)
    assert resolved.handle.adapters == ("some/folder", f"{second.folder}/model")
    assert resolved.served()[0].adapter == f"{second.folder}/model"


def test_the_model_is_looked_at_and_loaded_with_folders() -> None:
    class Watching(FakeModelBackend):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[str, ...]] = []

        def inspect(self, model: Any) -> Any:
            self.seen.append(tuple(model.adapters))
            return super().inspect(model)

    world, models = World(), Watching()
    job = world.start()
    world.put(models=models)
    world.start(over(job.id))
    assert set(models.seen) == {(f"{job.folder}/model",)}


def test_what_has_no_adapter_and_what_will_mean_something_else_is_refused() -> None:
    world = World()
    job = world.start()
    plan = world.container.plan_run()
    assert codes(plan, spec_text(over("last"))) == ["adapter-last"]
    world.jobs.write_text(job, "results.json", json.dumps({"adapter": False}))
    (found,) = problems(plan, spec_text(over(job.id)))
    assert (found.code, found.place.field) == ("adapter-whole-run", "model.adapters")
    assert found.place.line == 1
    unfinished = World(working=False)
    running = unfinished.running()
    section = ModelSection(name="fake", adapters=(running.id,))
    assert codes(unfinished.container.find_adapters().in_section, section) == ["run-no-result"]


def test_runs_over_one_base_are_resolved_together_and_others_are_not() -> None:
    world = World()
    first, second = world.start(), world.start()
    over_first = world.start(over(first.id))
    resolve = world.container.resolve_model()
    found = resolve.together([first.id, second.id])
    assert [model.name for model in found.served()] == [first.id, second.id, "fake"]
    assert resolve.together([first.id]).siblings == ()
    assert codes(resolve.together, [first.id, over_first.id]) == ["serve-other-base"]
    assert codes(resolve.together, [first.id, "fake"]) == ["serve-other-base"]
    assert codes(resolve.together, ["fake", "fake"]) == ["serve-other-base"]
