"""The compatibility matrix: every method with every feature, judged by planning it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from domain.errors import HextuneError
from domain.features import FEATURES, Cell, Feature, Verdict
from entrypoints.services.plan_run import PlanRun
from ports.catalog import Catalog
from ports.spec_reader import SpecText

REFERENCE = """
model: {name: "builtin:smollm2-135m-instruct"}
data: {train: [{path: "builtin:house-style"}]}
"""
"""A small spec that fits everywhere; a cell adds a method and a feature to it."""


@dataclass(frozen=True, slots=True)
class MethodMatrix:
    """Plans every combination; nothing is loaded or trained."""

    plan: PlanRun
    catalog: Catalog

    def __call__(self, reference: SpecText | None = None) -> Iterator[Cell]:
        """Every cell, method by method."""
        text = reference or SpecText(text=REFERENCE, format="yaml", source="reference")
        for method in self.catalog.names("methods"):
            for feature in FEATURES:
                yield self._cell(text, method, feature)

    def _cell(self, text: SpecText, method: str, feature: Feature) -> Cell:
        try:
            self.plan(combined(text, method, feature))
        except HextuneError as error:
            codes = tuple(dict.fromkeys(found.code for found in error.problems))
            return Cell(method=method, feature=feature.name, verdict=Verdict.REFUSED, rules=codes)
        return Cell(method=method, feature=feature.name, verdict=Verdict.FITS)


def combined(text: SpecText, method: str, feature: Feature) -> SpecText:
    """The reference spec with a method and a feature."""
    overrides = (*text.overrides, f"method.name={method}", *feature.overrides)
    return replace(text, overrides=overrides)
