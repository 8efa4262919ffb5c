"""Checkpoints: how damage shows, and the room a run takes on disk."""

import pytest

from domain.checkpoint import FileMark, checkpoint_bytes, damage, disk_bytes
from domain.run_plan import Origin
from domain.run_spec import OutputSection, TrackingSection
from domain.tracking import SamplesSection, StoppingSection
from domain.tracking_plan import tracking_decisions
from tests.domain.builders import plan, prepared, spec

WHOLE = {"a": FileMark(5, "ff"), "b": FileMark(0, "00")}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (WHOLE, None),
        ({**WHOLE, "c": FileMark(1, "aa")}, None),
        ({"a": WHOLE["a"]}, "b is missing"),
        ({**WHOLE, "a": FileMark(4, "ff")}, "a has 4 of 5 bytes"),
        ({**WHOLE, "a": FileMark(5, "fe")}, "a holds other bytes than were written"),
    ],
)
def test_damage(found: dict[str, FileMark], reason: str | None) -> None:
    assert damage(WHOLE, found) == reason


def test_the_best_weights_take_room_of_their_own() -> None:
    last, best = (spec(output=OutputSection(keep_best=keeps)) for keeps in (False, True))
    made = plan(last, {"seed": Origin.OVERRIDE}, prepared())
    trained = checkpoint_bytes(made) - made.memory.optimizer
    assert trained > 0
    assert disk_bytes(best, made) - disk_bytes(last, made) == trained


def test_a_plan_tells_what_is_watched() -> None:
    tracking = TrackingSection(
        eval_every_steps=5,
        best_by="rewards/accuracy",
        early_stopping=StoppingSection(patience=2),
        samples=SamplesSection(prompts=("Hi", "Ho"), every_steps=10),
        trackers=({"name": "jsonl", "file": "m.jsonl"},),
    )
    asked = spec(tracking=tracking, output=OutputSection(keep_best=True))
    found = {each.key: (each.value, each.reason) for each in tracking_decisions(asked)}
    assert "highest held-out rewards/accuracy" in found["result"][1]
    assert found["early_stopping"][0] == "2 evaluations"
    assert found["samples"][0] == "2 prompts every 10 steps"
    assert found["trackers"][0] == ["jsonl"]
    assert list(tracking_decisions(spec())) == []
