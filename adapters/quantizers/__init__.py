"""Quantizers: one file each. A file declares `Options` and `Backend`."""

from ports.catalog import Catalog
from ports.quant import QuantBackend


def load_quantizer(catalog: Catalog, name: str) -> QuantBackend:
    """The backend called `name`. Raises HextuneError for an unknown name."""
    backend: QuantBackend = catalog.part("quantizers", name).Backend()
    return backend
