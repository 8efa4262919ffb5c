"""Scorers: one file each. A file declares `Scorer(resolved, hardware)`; see ports.scorer."""

from domain.model_handle import ResolvedModel
from ports.catalog import Catalog
from ports.hardware import HardwareProbe
from ports.scorer import Scorer


def open_scorer(
    catalog: Catalog, hardware: HardwareProbe, resolved: ResolvedModel, name: str = "transformers"
) -> Scorer:
    """The scorer called `name`, with `resolved` loaded."""
    opened: Scorer = catalog.part("scorers", name).Scorer(resolved, hardware.probe())
    return opened
