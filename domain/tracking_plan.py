"""What a plan says of evaluations that choose a result or end a run, of samples and trackers."""

from collections.abc import Iterator

from domain.fingerprint import Json
from domain.run_plan import Decision, Origin
from domain.run_spec import RunSpec
from domain.tracking import higher_is_better


def tracking_decisions(spec: RunSpec) -> Iterator[Decision]:
    """A decision for each of them that is asked for."""
    tracking = spec.tracking
    better = "highest" if higher_is_better(tracking.best_by) else "lowest"
    if spec.output.keep_best:
        why = f"the {better} held-out {tracking.best_by}; its weights are kept as training goes on"
        yield _derived("result", "the best evaluation's", why)
    if tracking.early_stopping is not None:
        patience = tracking.early_stopping.patience
        why = f"after {patience} evaluations in a row whose {tracking.best_by} is no better"
        yield _derived("early_stopping", f"{patience} evaluations", why)
    if tracking.samples is not None:
        count, every = len(tracking.samples.prompts), tracking.samples.every_steps
        why = "the likeliest token each time, without any effect on what is learned"
        yield _derived("samples", f"{count} prompts every {every} steps", why)
    if tracking.trackers:
        names: list[Json] = [str(part["name"]) for part in tracking.trackers]
        yield _derived("trackers", names, "a tracker that fails is left out, and the run goes on")


def _derived(key: str, value: Json, reason: str) -> Decision:
    return Decision(key=key, value=value, origin=Origin.DERIVED, reason=reason)
