"""TensorBoard: event files in the run folder, for `tensorboard --logdir`."""

import json
from collections.abc import Mapping
from pathlib import Path

from adapters.packages import require_package
from domain.fingerprint import Json
from domain.section import options_of, section
from ports.tracker import TrackedRun


@section
class Options:
    """Options of tracker tensorboard."""

    folder: str = "tensorboard"
    """Where event files go, from the run folder; a folder for all runs may be absolute, in which
    each gets its own."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError where tensorboard is missing."""
    require_package("tensorboard", extra="tensorboard", field=f"{field}.name", name="tensorboard")


class Tracker:
    """Implements ports.tracker.Tracker."""

    def __init__(self, values: Mapping[str, Json], run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = Path(options_of(Options, values).folder)
        place = folder / run.id if folder.is_absolute() else Path(run.folder) / folder
        self._writer = SummaryWriter(str(place))
        if not run.resumed:
            spec = "    " + json.dumps(run.spec, indent=2).replace("\n", "\n    ")
            self._writer.add_text("spec", spec)

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """A scalar for each figure."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, *, succeeded: bool) -> None:
        """Close the file."""
        self._writer.close()
