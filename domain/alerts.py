"""Alerts of a run while it goes on: jumps of the loss and of the gradient, as problems to report.

What a jump is says `domain.metrics`; here the newest reading is judged by those before it.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from domain.errors import Problem, problem
from domain.metrics import SPIKE_WINDOW, AlertKind, Point, find_alerts

MOST_ALERTS = 3
"""Alerts of one kind in a run: who has not looked after three will not after thirty."""
CODES = {
    AlertKind.LOSS_SPIKE: "run-loss-spike",
    AlertKind.GRADIENT_SPIKE: "run-gradient-spike",
}


def _window() -> deque[Point]:
    return deque(maxlen=SPIKE_WINDOW + 1)


@dataclass(slots=True)
class SpikeWatch:
    """Reads a run step by step."""

    losses: deque[Point] = field(default_factory=_window)
    gradients: deque[Point] = field(default_factory=_window)
    told: Counter[AlertKind] = field(default_factory=Counter)
    """How many alerts of each kind there were."""

    def read(self, step: int, loss: float, grad_norm: float) -> list[Problem]:
        """What is wrong with this step."""
        self.losses.append(Point(step, loss))
        self.gradients.append(Point(step, grad_norm))
        found = []
        for alert in find_alerts(list(self.losses), list(self.gradients), finished=True):
            if alert.kind in CODES and alert.step == step and self.told[alert.kind] < MOST_ALERTS:
                self.told[alert.kind] += 1
                found.append(problem(CODES[alert.kind], step=step, value=f"{alert.value:.4g}"))
        return found
