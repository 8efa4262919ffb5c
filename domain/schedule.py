"""Arithmetic of steps: rows, batches, epochs, warm-up."""

import math
from dataclasses import dataclass

from domain.run_spec import BatchingSection, ScheduleSection

DEFAULT_EPOCHS = 3.0
DEFAULT_WARMUP_RATIO = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """How many steps a run takes, and of what."""

    train_rows: int
    """Sequences trained on in one epoch: rows, or packs of them; 0 where rows are streamed."""
    eval_rows: int
    """Held-out rows."""
    rows_per_step: int
    """Rows whose gradients make one optimizer step, on all devices."""
    steps_per_epoch: int
    """Optimizer steps in one epoch, a last short batch counts; 0 where rows are streamed."""
    total_steps: int
    """Optimizer steps in the whole run."""
    epochs: float
    """Passes over the training rows; 0 where rows are streamed."""
    warmup_steps: int
    """Steps in which the learning rate rises."""
    tokens: int
    """Tokens seen in the whole run, padding not counted."""
    trained_tokens: int
    """Of them, tokens that carry a loss."""


def plan_steps(
    schedule: ScheduleSection,
    batching: BatchingSection,
    *,
    train_rows: int,
    eval_rows: int,
    epoch_tokens: int,
    epoch_trained_tokens: int,
    processes: int = 1,
) -> StepPlan:
    """Steps as the trainer will count them: batches per epoch, then accumulation, rounded up.

    A batch is what all processes take at once.
    """
    batches = math.ceil(train_rows / (batching.per_device * processes))
    per_epoch = max(1, math.ceil(batches / batching.accumulate)) if train_rows else 0
    epochs = schedule.epochs if schedule.epochs is not None else DEFAULT_EPOCHS
    if schedule.max_steps is not None:
        total = schedule.max_steps
        epochs = total / per_epoch if per_epoch else 0.0
    else:
        total = math.ceil(epochs * per_epoch)
    if schedule.warmup_steps is not None:
        warmup = schedule.warmup_steps
    else:
        ratio = schedule.warmup_ratio if schedule.warmup_ratio is not None else DEFAULT_WARMUP_RATIO
        warmup = math.ceil(total * ratio)
    return StepPlan(
        train_rows=train_rows,
        eval_rows=eval_rows,
        rows_per_step=batching.per_device * batching.accumulate * processes,
        steps_per_epoch=per_epoch,
        total_steps=total,
        epochs=epochs,
        warmup_steps=warmup,
        tokens=round(epoch_tokens * epochs),
        trained_tokens=round(epoch_trained_tokens * epochs),
    )
