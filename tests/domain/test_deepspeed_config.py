"""DeepSpeed's JSON: what the plan makes of it, and what a user's own may say."""

from dataclasses import replace
from typing import Any

import pytest

from domain.deepspeed_config import contradictions, deepspeed_config, required
from domain.parallelism import ParallelismSection
from domain.run_spec import BatchingSection, RunSpec, ScheduleSection
from tests.domain.builders import FACTS, plan, spec


def asked(**parallel: Any) -> RunSpec:
    section = ParallelismSection(strategy="deepspeed", processes=2, **parallel)
    return spec(
        parallelism=section,
        batching=BatchingSection(per_device=3, accumulate=4),
        schedule=ScheduleSection(max_grad_norm=0.5),
    )


def test_the_json_says_what_the_spec_says() -> None:
    made = asked(zero=3, offload="all")
    assert deepspeed_config(made, plan(made)) == {
        "train_micro_batch_size_per_gpu": 3,
        "gradient_accumulation_steps": 4,
        "train_batch_size": 24,
        "gradient_clipping": 0.5,
        "bf16": {"enabled": False},
        "fp16": {"enabled": False},
        "zero_optimization": {
            "stage": 3,
            "offload_optimizer": {"device": "cpu"},
            "offload_param": {"device": "cpu"},
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def test_what_a_users_file_adds_is_taken_over() -> None:
    made = asked(zero=2)
    theirs: dict[str, Any] = {
        "train_batch_size": "auto",
        "wall_clock_breakdown": True,
        "zero_optimization": {"stage": 2, "overlap_comm": True},
    }
    planned = plan(made)
    planned = replace(planned, trainer=replace(FACTS, parallel_config=theirs))
    found = deepspeed_config(made, planned)
    assert found["train_batch_size"] == 24
    assert found["wall_clock_breakdown"] is True
    assert found["zero_optimization"] == {"stage": 2, "overlap_comm": True}
    assert list(contradictions(theirs, required(made, 2, "full"))) == []


@pytest.mark.parametrize(
    ("theirs", "field"),
    [
        ({"train_micro_batch_size_per_gpu": 8}, "train_micro_batch_size_per_gpu"),
        ({"train_batch_size": 8}, "train_batch_size"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
        ({"gradient_clipping": 1.0}, "gradient_clipping"),
        ({"bf16": {"enabled": True}}, "bf16.enabled"),
        ({"fp16": {"enabled": True}}, "fp16.enabled"),
        ({"zero_optimization": {"stage": 3}}, "zero_optimization.stage"),
        (
            {"zero_optimization": {"offload_optimizer": {"device": "cpu"}}},
            "zero_optimization.offload_optimizer",
        ),
        ({"optimizer": {"type": "Adam"}}, "optimizer"),
        ({"scheduler": {"type": "WarmupLR"}}, "scheduler"),
    ],
)
def test_what_contradicts_the_spec_is_named(theirs: dict[str, Any], field: str) -> None:
    found = contradictions(theirs, required(asked(zero=2), 2, "full"))
    assert [name for name, _, _ in found] == [field]
