"""Trackers: one file each.

A file declares `Options` (a section), `check(values, field)`, which raises HextuneError where its
package is missing or an option cannot be, and `Tracker(values, run)`, a ports.tracker.Tracker.
They are fed with our events, so that all of them tell the same story.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from domain.errors import Place, fail
from domain.fingerprint import Json
from ports.catalog import Catalog
from ports.tracker import TrackedRun, Tracker


def open_tracker(catalog: Catalog, part: Mapping[str, Json], run: TrackedRun) -> Tracker:
    """The tracker that a part of `tracking.trackers` names, opened for a run."""
    made: Tracker = catalog.part("trackers", str(part["name"])).Tracker(options_in(part), run)
    return made


def check_trackers(catalog: Catalog, parts: tuple[Mapping[str, Json], ...]) -> None:
    """Raises HextuneError for the first tracker that cannot be opened."""
    for number, part in enumerate(parts):
        tracker = catalog.part("trackers", str(part["name"]))
        tracker.check(options_in(part), f"tracking.trackers.{number}")


def options_in(part: Mapping[str, Json]) -> dict[str, Json]:
    """The options of a part of a list, without its name."""
    return {key: value for key, value in part.items() if key != "name"}


def refuse_password(address: str | None, field: str, variables: str) -> None:
    """Raise HextuneError for an address with a password: specs are shown, saved and shared."""
    if address is not None and urlsplit(address).password is not None:
        raise fail("tracker-secret", Place(field=field), field=field, variables=variables)
