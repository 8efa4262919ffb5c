"""Inference engines: one file each, opened by name."""

from domain.model_handle import ResolvedModel
from ports.catalog import Catalog
from ports.hardware import HardwareProbe
from ports.inference import InferenceBackend


def open_engine(
    catalog: Catalog, hardware: HardwareProbe, resolved: ResolvedModel, engine: str = "transformers"
) -> InferenceBackend:
    """The engine called `engine`, with `resolved` loaded."""
    opened: InferenceBackend = catalog.part("engines", engine).Engine(resolved, hardware.probe())
    return opened
