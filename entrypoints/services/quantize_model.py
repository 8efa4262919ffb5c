"""Write a packed checkpoint of a run or a model, and say how far it is from the original."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.dataset import DataSource
from domain.errors import HextuneError, Place, fail
from domain.model_handle import ModelHandle
from domain.run_spec import DataSection
from entrypoints.services.align_data import AlignData
from entrypoints.services.encode_rows import encode_rows
from entrypoints.services.resolve_model import ResolveModel
from ports.datasets import RowReader
from ports.hardware import HardwareProbe
from ports.model import ModelBackend
from ports.packing import CheckpointPacker, Packing, PackReport


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeModel:
    """Packs the weights of a model with its adapters merged in."""

    resolve: ResolveModel
    models: ModelBackend
    packer: Callable[[str], CheckpointPacker]
    hardware: HardwareProbe
    reader: RowReader

    def __call__(
        self,
        name: str,
        target: str,
        *,
        by: str,
        asked: Packing,
        calibration: str | None,
        samples: int,
    ) -> PackReport:
        """The comparison. Raises HextuneError for what cannot be packed, before weights load."""
        packer = self.packer(by)
        packer.check(asked, self.hardware.probe())
        handle = self.resolve(name).handle
        texts: Sequence[str] = ()
        if packer.calibrated:
            if calibration is None:
                raise fail("quantizer-calibration", Place(field="--calibration"), quantizer=by)
            texts = self._texts(handle, calibration, samples)
        return self.models.pack(handle, target, packer.settings(asked, texts))

    def _texts(self, handle: ModelHandle, path: str, samples: int) -> list[str]:
        """The first rows as the model reads them. Raises HextuneError for one it cannot read."""
        data = DataSection(train=(DataSource(path=path, num_samples=samples, sample="first"),))
        aligned, _ = AlignData(self.reader)(data, 0)
        encoder = self.models.encoder(handle)
        texts = []
        for row in encode_rows([each.row for each in aligned.rows], encoder, data):
            if isinstance(row, HextuneError):
                raise row
            texts.append("".join(encoder.pieces(row)))
        return texts
