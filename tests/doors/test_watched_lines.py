"""What `tune watch` says of samples, of the best evaluation and of sources."""

from typing import Any

import pytest

from domain.events import EventKind, JobEvent
from entrypoints.cli.follow import event_lines

MEASURED = {"step": 4, "loss": 1.5, "perplexity": 4.48}
PARTS = {"a": {"loss": 1.0, "perplexity": 2.7}, "b": {"loss": 2.0, "rewards/margin": 0.5}}


@pytest.mark.parametrize(
    ("kind", "data", "lines"),
    [
        (
            EventKind.SAMPLE,
            {"step": 4, "prompt": "How much?", "text": "Two,\n or three."},
            ["sample at step 4: How much?", "  Two, or three."],
        ),
        (
            EventKind.EVALUATION,
            {**MEASURED, "best": True},
            ["held out: loss 1.5000, perplexity 4.48 at step 4, the best so far"],
        ),
        (
            EventKind.EVALUATION,
            {**MEASURED, "best": False, "sources": PARTS},
            [
                "held out: loss 1.5000, perplexity 4.48 at step 4",
                "  a: loss 1.0000",
                "  b: loss 2.0000  rewards/margin 0.5",
            ],
        ),
        (
            EventKind.EVALUATION,
            MEASURED,
            ["held out: loss 1.5000, perplexity 4.48 at step 4"],
        ),
    ],
)
def test_lines(kind: EventKind, data: dict[str, Any], lines: list[str]) -> None:
    assert list(event_lines(JobEvent(seq=1, at=0.0, kind=kind, data=data))) == lines
