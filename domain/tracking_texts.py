"""Texts of what is watched while a run trains: checkpoints, alerts, trackers, samples."""

from collections.abc import Mapping

from domain.error_text import ErrorText

TRACKING_TEXTS: Mapping[str, ErrorText] = {
    "run-checkpoint-damaged": ErrorText(
        "The checkpoint of step {step} cannot be used: {reason}.",
        "The run goes on from the one before; if this happens again, look at the disk.",
    ),
    "run-unsaveable": ErrorText(
        "What this run would save cannot be written and read back: {reason}.",
        "Nothing was trained yet. Change the method or the optimizer that keeps it, or report it.",
        6,
    ),
    "run-loss-spike": ErrorText(
        "The loss jumped to {value} at step {step}.",
        "If it does not come back down, lower optimizer.learning_rate or look at the rows "
        "of that step.",
    ),
    "run-gradient-spike": ErrorText(
        "The gradient norm jumped to {value} at step {step}.",
        "schedule.max_grad_norm keeps such steps short; many of them ask for a lower "
        "learning rate.",
    ),
    "run-stalled": ErrorText(
        "Nothing has moved for {seconds} s since step {step}.",
        "worker.log holds the stacks of all threads; `tune stop` with --now ends the run "
        "if it hangs.",
    ),
    "run-figure-missing": ErrorText(
        "The evaluation has no figure `{name}`.",
        "It has: {known}. Set tracking.best_by to one of them.",
        3,
    ),
    "tracker-failed": ErrorText(
        "The tracker {name} failed and is left out from here on: {reason}.",
        "The run goes on, and its events are all in events.jsonl.",
    ),
    "tracker-secret": ErrorText(
        "The address in `{field}` holds a password, which would be written into the spec.",
        "Take it out; {variables} carry it in the environment.",
        3,
    ),
    "rule-best-needs-eval": ErrorText(
        "output.keep_best needs evaluations to choose by.",
        "Set tracking.eval_every_steps, and data.eval or data.eval_fraction.",
        3,
    ),
    "rule-stopping-needs-eval": ErrorText(
        "tracking.early_stopping needs evaluations to stop by.",
        "Set tracking.eval_every_steps, and data.eval or data.eval_fraction.",
        3,
    ),
    "rule-samples-unspoken": ErrorText(
        "Stage {stage} trains a model that scores answers; it writes none to sample.",
        "Take tracking.samples out.",
        3,
    ),
    "rule-samples-empty": ErrorText(
        "tracking.samples has no prompts.",
        "Give it at least one, or take it out.",
        3,
    ),
}
