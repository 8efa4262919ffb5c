"""Weights & Biases: a run of the same id, online or in a folder to sync later.

The key comes from the environment or from `wandb login`; a spec has no place for it.
"""

from collections.abc import Mapping
from typing import Literal

from adapters.packages import require_package
from domain.fingerprint import Json
from domain.section import options_of, section
from ports.tracker import TrackedRun


@section
class Options:
    """Options of tracker wandb."""

    project: str = "hextune"
    """The project the run belongs to."""
    entity: str | None = None
    """The user or team it belongs to; the key's own where not set."""
    mode: Literal["online", "offline"] = "online"
    """Whether figures are sent at once, or kept in the run folder for `wandb sync`."""
    tags: tuple[str, ...] = ()
    """Tags of the run."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError where wandb is missing."""
    require_package("wandb", extra="wandb", field=f"{field}.name", name="wandb")


class Tracker:
    """Implements ports.tracker.Tracker."""

    def __init__(self, values: Mapping[str, Json], run: TrackedRun) -> None:
        import wandb

        options = options_of(Options, values)
        self._run = wandb.init(
            project=options.project,
            entity=options.entity,
            id=run.id,
            name=run.name,
            tags=list(options.tags),
            mode=options.mode,
            resume="allow" if options.mode == "online" else None,
            dir=run.folder,
            config=dict(run.spec),
            settings=wandb.Settings(console="off", silent=True),
        )

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """A row of the run's history; figures of one step come together."""
        self._run.log(dict(figures), step=step)

    def close(self, *, succeeded: bool) -> None:
        """End the run there."""
        self._run.finish(exit_code=0 if succeeded else 1)
