"""Rewrite a checkpoint of remote code so that the library's own class loads it."""

from dataclasses import dataclass

from ports.conversion import ConversionReport, ModelConverter


@dataclass(frozen=True, slots=True)
class ConvertModel:
    """Converts one checkpoint."""

    converter: ModelConverter

    def __call__(self, source: str, target: str) -> ConversionReport:
        """What was written. Raises HextuneError where no native class fits."""
        return self.converter.convert(source, target)
