"""Events as lines of text."""

from domain.events import EventKind, JobEvent, shown_figures
from entrypoints.tui.shown import Texts, figure, number

PHASES = (
    "planning",
    "loading",
    "data",
    "rehearsal",
    "training",
    "measuring",
    "saving",
    "reporting",
)
"""Phases that locales name; a phase of a later version is shown as it is."""
FORMATS = {
    "step": ".0f",
    "total_steps": ".0f",
    "loss": ".4f",
    "perplexity": ".2f",
    "learning_rate": ".2e",
    "per_s": ".2f",
}
"""Figures that lines of events name."""
COLOURS = {
    EventKind.STEP: "",
    EventKind.EVALUATION: "$accent",
    EventKind.CHECKPOINT: "$secondary",
    EventKind.SAMPLE: "$success",
    EventKind.PART: "$secondary",
    EventKind.WARNING: "$warning",
    EventKind.FAILED: "$error",
    EventKind.SUCCEEDED: "$success",
    EventKind.STOPPED: "$warning",
}


def event_line(texts: Texts, event: JobEvent) -> str:
    """One line on an event."""
    facts = {key: number(figure(event.data, key), pattern) for key, pattern in FORMATS.items()}
    if event.kind is EventKind.PROGRESS:
        facts["title"] = str(event.data["title"])
    elif event.kind is EventKind.PHASE:
        phase = str(event.data["phase"])
        facts["phase"] = texts(f"phases.{phase}") if phase in PHASES else phase
    elif event.kind is EventKind.PART:
        facts |= {key: str(event.data[key]) for key in ("name", "number", "count", "run")}
        facts["status"] = texts(f"status.{event.data['status']}")
    elif event.kind is EventKind.SAMPLE:
        facts |= {key: " ".join(str(event.data[key]).split()) for key in ("prompt", "text")}
    elif event.kind in (EventKind.WARNING, EventKind.FAILED):
        facts["message"], _ = texts.recorded(event.data)
    own = shown_figures(event.data) if event.kind in (EventKind.STEP, EventKind.EVALUATION) else ""
    return texts(f"events.{event.kind.value}", **facts) + own
