"""Pipelines planned whole: every rule of every step, on the shapes and rows it will get."""

from dataclasses import replace
from typing import Any

import pytest

from domain.job import JobStatus
from domain.model_handle import ModelHandle
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec
from tests.services.pipeline_world import CHAIN, PipelineWorld, StagedTrainer
from tests.services.world import codes, problems, spec_text

# -- planning ---------------------------------------------------------------------------------


def test_every_step_is_planned_on_what_it_will_get() -> None:
    planned = PipelineWorld().container.plan_pipeline()(spec_text(CHAIN))
    sft, write, dpo = planned.steps
    assert [step.total_steps for step in planned.steps] == [3, 8, 3]
    assert (sft.unknown, len(write.unknown), len(dpo.unknown)) == ((), 1, 2)
    assert write.plan is None
    assert dpo.plan is not None
    assert dpo.plan.model.adapters == ("step:sft",)
    assert dpo.plan.data["rows_read"] == 8
    assert [step["name"] for step in planned.as_json()["steps"]] == ["sft", "write", "dpo"]


def test_rules_of_all_steps_are_judged_before_anything_runs() -> None:
    world = PipelineWorld()
    text = CHAIN.replace("  - name: sft", "  - {name: sft, schedule: {epochs: 2}}")
    text = text.replace("stage: {name: dpo}", "stage: {name: dpo}, batching: {packing: true}")
    found = problems(world.begin, text)
    assert [(each.code, each.place.line) for each in found] == [
        ("rule-one-length", 4),
        ("rule-answers-apart", 8),
    ]
    assert world.jobs.all() == []


def test_adapters_of_earlier_steps_count_where_packed_weights_take_none() -> None:
    """Merging into packed weights is refused for a step as it is for a run."""
    shared = CHAIN.replace("schedule:", "quantization: {name: bitsandbytes}\nschedule:")
    found = codes(PipelineWorld().container.plan_pipeline(), spec_text(shared))
    assert found.count("rule-packed-adapters") == 1


def test_adapters_that_learn_on_and_whole_weights_are_planned_on_their_shapes() -> None:
    shared = CHAIN.partition("pipeline")[0]
    text = shared + (
        "pipeline:\n  - {name: a}\n  - {name: b}\n  - {name: c, method: {name: continued}}\n"
        "  - {name: d, method: {name: full}}\n  - {name: e}\n"
    )
    plans = {
        step.name: step.plan
        for step in PipelineWorld().container.plan_pipeline()(spec_text(text)).steps
        if step.plan is not None
    }
    stacks = {name: plan.model.adapters for name, plan in plans.items()}
    assert stacks == {
        "a": (),
        "b": ("step:a",),
        "c": ("step:a", "step:b"),
        "d": ("step:a", "step:c"),
        "e": (),
    }
    assert [name for name, plan in plans.items() if plan.trainer.continues] == ["c"]
    assert plans["c"].trainer.trainable == plans["b"].trainer.trainable
    assert (plans["e"].model.name, plans["e"].model.layers) == ("step:d", plans["a"].model.layers)


JUDGED = CHAIN.partition("  - {name: write")[0] + (
    "  - {name: reward, stage: {name: reward}, data: {train: [{path: pairs.jsonl}]}}\n"
    "  - {name: ppo, stage: {name: ppo, rewards: [{name: model, model: 'step:reward'}]}}\n"
)


def judging() -> PipelineWorld:
    """A world with preferences to learn rewards from."""
    world = PipelineWorld()
    world.rows.files["pairs.jsonl"] = [{"instruction": "?", "chosen": "a", "rejected": "b"}]
    return world


def test_a_reward_model_to_come_is_weighed_beside_the_policy() -> None:
    world = judging()
    seen = []

    class Seeing(StagedTrainer):
        def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
            seen.append(spec.stage)
            return super().facts(spec, model)

    world.put(trainer=Seeing())
    planned = world.container.plan_pipeline()(spec_text(JUDGED)).steps[-1]
    rewards: Any = seen[-1].options["rewards"]
    assert rewards[0]["name"] == "regex"
    assert planned.spec.stage.options["rewards"][0]["model"] == "step:reward"
    assert (planned.plan.trainer.beside, planned.plan.trainer.shares_base) == (1000, True)
    assert "the reward model of step reward" in planned.unknown[-1]


def test_a_whole_reward_model_to_come_is_a_network_beside_the_policy() -> None:
    world = judging()
    text = JUDGED.replace("name: reward, stage", "name: reward, method: {name: full}, stage")
    *_, reward, ppo = world.container.plan_pipeline()(spec_text(text)).steps
    assert reward.plan is not None
    assert ppo.plan is not None
    network = reward.plan.model.parameters + reward.plan.model.hidden
    assert (ppo.plan.trainer.beside, ppo.plan.trainer.shares_base) == (network, False)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("'step:reward'", "'step:sft'", "reward-model-missing"),
        ("{name: ppo, stage", "{name: ppo, from: null, stage", "reward-other-base"),
        ("'step:reward'}", "'step:reward'}, {name: model, model: 'step:reward'}",
         "reward-two-models"),
    ],
)  # fmt: skip
def test_a_step_that_cannot_judge_the_policy_is_refused_before_anything_runs(
    old: str, new: str, code: str
) -> None:
    """It was found out when every earlier step had run."""
    world = judging()
    (found,) = problems(world.begin, JUDGED.replace(old, new))
    assert (found.code, found.place.line) == (code, 8)
    assert str(found.place.field).startswith("stage.rewards")
    assert world.jobs.all() == []


def test_a_mistaken_step_does_not_hide_those_of_the_others() -> None:
    text = CHAIN.replace("  - name: sft", "  - {name: sft, seed: no}")
    text += "  - {name: free, from: null, data: {train: [{path: gone.jsonl}]}}\n"
    assert codes(PipelineWorld().begin, text) == ["spec-bad-value", "data-file-missing"]


@pytest.mark.parametrize("kind", ["preference", "model"])
def test_a_writing_step_needs_conversations_and_a_model_that_chats(kind: str) -> None:
    world = PipelineWorld()
    if kind == "preference":
        world.rows.files["rows.jsonl"] = [{"instruction": "?", "chosen": "a", "rejected": "b"}]
        text = "  - {name: write, from: null, generate: {}}\n"
        assert codes(world.begin, CHAIN.partition("  - name")[0] + text) == ["data-kind-unfit"]
    else:
        models: Any = world.container.models()
        models.known = replace(models.known, has_chat_template=False)
        assert "model-not-chat" in codes(world.begin)


# -- the order of stages ------------------------------------------------------------------------


def test_a_run_may_not_start_from_a_stage_that_cannot_precede_it() -> None:
    world = PipelineWorld()
    rows = [{"instruction": "?", "chosen": "a", "rejected": "b"}]
    world.container.rows().files["pairs.jsonl"] = rows
    pairs = "{train: [{path: pairs.jsonl}]}"
    spec = "model: {name: fake}\ndata: DATA\nschedule: {max_steps: 3}\nstage: {name: dpo}\n"
    earlier = world.start(spec.replace("DATA", pairs))
    sft = f"model: {{name: fake, adapters: [{earlier.id}]}}\n"
    sft += "data: {train: [{path: rows.jsonl}]}\nschedule: {max_steps: 3}\n"
    (found,) = problems(world.start, sft)
    assert (found.code, found.place.line) == ("stage-may-not-follow", 1)
    assert found.facts["earlier"] == "dpo"
    over = spec.replace("DATA", pairs).replace("fake}", f"fake, adapters: [{earlier.id}]}}")
    assert world.start(over).status is JobStatus.SUCCEEDED


def test_a_pipelines_name_stands_for_its_last_model_there_too() -> None:
    world = PipelineWorld()
    job = world.begin()
    assert world.container.find_run()(job.id).problem is None
    text = CHAIN.partition("pipeline")[0].replace("fake}", f"fake, adapters: [{job.id}]}}")
    assert codes(world.start, text) == ["stage-may-not-follow"]
