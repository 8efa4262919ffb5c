"""Every stage has an example over data of the repository, which trains."""

from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from domain.stage import TrainingStage
from entrypoints.container import make_container
from tests.contracts.test_trainer import losses, run

EXAMPLES = Path(__file__).parents[2] / "examples"
CATALOG = FolderCatalog()
STAGES: dict[str, TrainingStage] = {
    name: CATALOG.part("stages", name).STAGE for name in CATALOG.names("stages")
}
FILES = {name: f"{name}.yaml" for name in STAGES} | {"sft": "demo.yaml"}


@pytest.mark.parametrize("stage", STAGES)
def test_the_example_of_a_stage_trains_a_tiny_model(
    tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    container = make_container(str(tmp_path / "runs"))
    overrides = [f"model.name={tiny_model}", "schedule.epochs=null", "schedule.max_steps=3"]
    text = container.spec_reader().load(str(EXAMPLES / FILES[stage]), overrides)
    planned = container.plan_run()(text)
    assert planned.document.spec.stage.name == stage
    assert not planned.data.dropped
    outcome, events = run(container, planned, tmp_path / "run")
    assert len(losses(events)) == outcome.step == 3
    assert outcome.results["yields"] == STAGES[stage].yields


def test_no_stage_follows_a_reward_model_and_all_that_chat_may_be_aligned_further() -> None:
    chatting = {name for name, stage in STAGES.items() if stage.yields == "chat_model"}
    for name, stage in STAGES.items():
        assert stage.name == name
        assert stage.follows <= STAGES.keys()
        assert not any(STAGES[earlier].yields == "reward_model" for earlier in stage.follows)
        if name in chatting - {"sft"} | {"reward"}:
            assert chatting <= stage.follows
