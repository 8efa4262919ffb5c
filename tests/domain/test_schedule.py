"""Steps: counted as the trainer counts them, by closed form and by walking through the batches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.run_spec import BatchingSection, ScheduleSection
from domain.schedule import StepPlan, plan_steps


def plan(
    rows: int,
    *,
    per_device: int = 1,
    accumulate: int = 1,
    epochs: float | None = None,
    max_steps: int | None = None,
    warmup_ratio: float | None = None,
    warmup_steps: int | None = None,
) -> StepPlan:
    """A plan of rows of ten tokens, of which four carry a loss."""
    return plan_steps(
        ScheduleSection(
            epochs=epochs,
            max_steps=max_steps,
            warmup_ratio=warmup_ratio,
            warmup_steps=warmup_steps,
        ),
        BatchingSection(per_device=per_device, accumulate=accumulate),
        train_rows=rows,
        eval_rows=0,
        epoch_tokens=10 * rows,
        epoch_trained_tokens=4 * rows,
    )


def walked(rows: int, per_device: int, accumulate: int) -> int:
    """Optimizer steps of one epoch, by taking the rows batch by batch."""
    steps = held = 0
    while rows > 0:
        rows -= per_device
        held += 1
        if held == accumulate or rows <= 0:
            steps, held = steps + 1, 0
    return steps


@given(st.integers(1, 300), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_an_epoch_has_the_steps_one_walks_through(
    rows: int, per_device: int, accumulate: int, epochs: int
) -> None:
    made = plan(rows, per_device=per_device, accumulate=accumulate, epochs=epochs)
    assert made.steps_per_epoch == walked(rows, per_device, accumulate)
    assert made.total_steps == epochs * made.steps_per_epoch
    assert made.rows_per_step == per_device * accumulate
    assert (made.tokens, made.trained_tokens) == (10 * rows * epochs, 4 * rows * epochs)


@given(st.integers(1, 100), st.integers(1, 500), st.integers(1, 8))
def test_max_steps_end_the_run_wherever_the_epoch_is(
    rows: int, max_steps: int, accumulate: int
) -> None:
    made = plan(rows, accumulate=accumulate, max_steps=max_steps)
    assert made.total_steps == max_steps
    assert made.epochs == pytest.approx(max_steps / made.steps_per_epoch)
    assert made.tokens == round(10 * rows * made.epochs)


@pytest.mark.parametrize(
    ("rows", "per_device", "accumulate", "steps"),
    [(8, 4, 1, 2), (9, 4, 1, 3), (9, 4, 2, 2), (8, 4, 2, 1), (3, 4, 8, 1), (16, 4, 2, 2)],
)
def test_a_last_short_batch_and_a_short_accumulation_make_a_step(
    rows: int, per_device: int, accumulate: int, steps: int
) -> None:
    made = plan(rows, per_device=per_device, accumulate=accumulate, epochs=1)
    assert made.total_steps == made.steps_per_epoch == steps


def test_three_epochs_where_nothing_is_set() -> None:
    made = plan(10)
    assert (made.epochs, made.total_steps) == (3.0, 30)


def test_a_part_of_an_epoch_is_rounded_up_to_a_step() -> None:
    assert plan(10, epochs=0.25).total_steps == 3
    assert plan(10, epochs=0.01).total_steps == 1


def test_without_rows_there_are_no_steps() -> None:
    made = plan(0, epochs=2)
    assert (made.total_steps, made.steps_per_epoch, made.tokens) == (0, 0, 0)
    assert plan(0, max_steps=5).epochs == 0.0


@pytest.mark.parametrize(
    ("options", "warmup"),
    [
        ({}, 3),
        ({"warmup_ratio": 0.1}, 10),
        ({"warmup_ratio": 0.0}, 0),
        ({"warmup_ratio": 0.001}, 1),
        ({"warmup_steps": 7}, 7),
        ({"warmup_steps": 0}, 0),
    ],
)
def test_warm_up_is_a_share_of_the_steps_or_a_number(
    options: dict[str, float], warmup: int
) -> None:
    made = plan(1, max_steps=100, **options)  # type: ignore[arg-type]
    assert made.warmup_steps == warmup


@given(st.integers(1, 2000), st.floats(0, 0.99))
def test_a_warm_up_ratio_is_rounded_up(steps: int, ratio: float) -> None:
    assert plan(1, max_steps=steps, warmup_ratio=ratio).warmup_steps == math.ceil(steps * ratio)
