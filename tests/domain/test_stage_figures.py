"""Figures of stages: told apart from a step's usual ones, and shown on one line in every door."""

from domain.events import EventKind, JobEvent, shown_figures, stage_figures
from entrypoints.cli.follow import event_lines

STEP = {
    "step": 2,
    "total_steps": 6,
    "loss": 0.5,
    "learning_rate": 1e-4,
    "tokens_per_s": 100.0,
    "eta_s": 3.0,
}
OWN = {"rewards/margin": 0.25, "rewards/accuracy": 1.0, "kl": 0.0}


def event(kind: EventKind, **data: float) -> JobEvent:
    return JobEvent(seq=1, at=0.0, kind=kind, data=data)


def test_a_stages_figures_are_told_apart() -> None:
    assert stage_figures({**STEP, **OWN}) == OWN
    assert shown_figures(STEP) == ""
    assert shown_figures(OWN) == "  rewards/margin 0.25  rewards/accuracy 1  kl 0"


def test_the_command_line_shows_them_beside_the_loss() -> None:
    (line,) = event_lines(event(EventKind.STEP, **STEP, **OWN))
    assert "loss 0.5000  rewards/margin 0.25  rewards/accuracy 1  kl 0  lr" in line
    (line,) = event_lines(event(EventKind.STEP, **STEP))
    assert "loss 0.5000  lr" in line


def test_held_out_rows_have_a_perplexity_or_a_stages_figures() -> None:
    held_out = {"step": 3, "loss": 0.5}
    (plain,) = event_lines(event(EventKind.EVALUATION, **held_out, perplexity=1.65))
    assert plain == "held out: loss 0.5000, perplexity 1.65 at step 3"
    (judged,) = event_lines(event(EventKind.EVALUATION, **held_out, **OWN))
    assert judged == f"held out: loss 0.5000{shown_figures(OWN)} at step 3"
