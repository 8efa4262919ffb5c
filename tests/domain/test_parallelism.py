"""What several processes come to: how many, what is divided, what a device then needs."""

from dataclasses import replace
from typing import Any

import pytest

from domain.budget import MemoryEstimate
from domain.hardware import DeviceKind
from domain.parallelism import ParallelismSection, choose_parallelism, divided
from domain.run_spec import BatchingSection, ScheduleSection
from domain.schedule import plan_steps
from tests.domain.builders import plan, spec
from tests.fakes.models import CPU

GPUS = replace(CPU, kind=DeviceKind.CUDA, name="H100", count=4)
MEMORY = MemoryEstimate(
    weights=1000, gradients=400, optimizer=800, activations=64, logits=32, runtime=0
)


def asked(strategy: Any = "ddp", **values: Any) -> ParallelismSection:
    return ParallelismSection(strategy=strategy, **values)


def test_all_devices_work_unless_told_otherwise() -> None:
    assert choose_parallelism(asked(), GPUS).processes == 4
    assert choose_parallelism(asked(processes=2), GPUS).processes == 2
    assert choose_parallelism(asked("single"), GPUS).processes == 1


def test_zero_is_deepspeeds_alone_and_two_where_not_set() -> None:
    assert choose_parallelism(asked("deepspeed"), GPUS).zero == 2
    assert choose_parallelism(asked("deepspeed", zero=3), GPUS).name == "ZeRO-3"
    assert choose_parallelism(asked("fsdp2"), GPUS).zero is None


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        (asked(), (1000, 400, 800)),
        (asked("deepspeed", zero=1), (1000, 400, 200)),
        (asked("deepspeed", zero=2), (1000, 100, 200)),
        (asked("deepspeed", zero=3), (250, 100, 200)),
        (asked("fsdp2"), (250, 100, 200)),
        (asked("deepspeed", zero=2, offload="optimizer"), (1000, 100, 0)),
        (asked("deepspeed", zero=3, offload="all"), (0, 100, 0)),
    ],
)
def test_a_device_holds_its_share(section: ParallelismSection, parts: tuple[int, ...]) -> None:
    """Rajbhandari et al. 2020, figure 1: what each stage divides by the number of devices."""
    found = divided(MEMORY, section, GPUS)
    assert (found.weights, found.gradients, found.optimizer) == parts
    assert (found.activations, found.logits) == (64, 32)


def test_processes_on_a_cpu_share_its_memory() -> None:
    found = divided(MEMORY, asked("fsdp2", processes=2), CPU)
    assert (found.weights, found.optimizer, found.activations) == (1000, 800, 128)
    assert divided(MEMORY, asked(processes=2), CPU).weights == 2000


def test_a_batch_is_what_all_processes_take_at_once() -> None:
    one, three = (
        plan_steps(
            ScheduleSection(epochs=2),
            BatchingSection(per_device=per_device, accumulate=2),
            train_rows=25,
            eval_rows=0,
            epoch_tokens=100,
            epoch_trained_tokens=50,
            processes=processes,
        )
        for per_device, processes in ((6, 1), (2, 3))
    )
    assert one == three
    assert three.rows_per_step == 12
    assert three.total_steps == 6


def test_the_plan_says_who_works_together_and_why() -> None:
    made = plan(spec(parallelism=asked("deepspeed", processes=2, zero=3)))
    decisions = {each.key: each for each in made.decisions if each.origin == "derived"}
    assert decisions["parallelism.processes"].value == 2
    assert "weights are divided" in decisions["parallelism.processes"].reason
    assert decisions["batching.rows_per_step"].value == 8
    assert "4 x 1 x 2 rows each" in decisions["steps"].reason
    alone = {each.key for each in plan().decisions if each.origin == "derived"}
    assert "parallelism.processes" not in alone
