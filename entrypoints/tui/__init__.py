"""The terminal monitor: runs of any state, whoever trains them, in the reader's language."""

from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints.tui.once import snapshot_text

if TYPE_CHECKING:
    from entrypoints.container import Container

__all__ = ["run_monitor", "snapshot_text"]


def run_monitor(container: "Container", *, language: str, run: str | None) -> None:
    """Show the monitor until the reader quits. Raises HextuneError for a run that is not there."""
    from entrypoints.tui.app import MonitorApp

    if run is not None:
        job = container.find_run()(run)
        if all(job.id != known.id for known in container.jobs().all()):
            from entrypoints.container import make_container

            # A run given by path may lie in another folder of runs: that one is shown.
            container = make_container(str(Path(job.folder).parent))
        run = job.id
    MonitorApp(container, language, run).run()
