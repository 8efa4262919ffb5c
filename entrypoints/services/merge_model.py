"""Merge a run's adapter into its base, and prove that the merged model is the trained one."""

from dataclasses import dataclass

from domain.errors import fail
from entrypoints.services.resolve_model import ResolveModel
from ports.model import MergeReport, ModelBackend

BOUNDS = {"float32": (1e-3, 1e-5), "bfloat16": (1.0, 1e-2), "float16": (0.25, 1e-3)}
"""(largest logit difference, mean KL in nats) that rounding to each dtype explains."""


@dataclass(frozen=True, slots=True)
class MergeModel:
    """Writes merged weights and compares."""

    resolve: ResolveModel
    models: ModelBackend

    def __call__(
        self, name: str, target: str, dtype: str | None, max_difference: float | None
    ) -> MergeReport:
        """The comparison. Raises HextuneError where it exceeds the bound; the files stay."""
        resolved = self.resolve(name)
        if not resolved.handle.adapters:
            raise fail("merge-no-adapter", name=name)
        report = self.models.merge(resolved.handle, target, dtype or resolved.handle.dtype)
        bound, kl_bound = BOUNDS[report.dtype]
        if max_difference is not None:
            bound, kl_bound = max_difference, float("inf")
        # written so that a difference which is not a number is no success
        if not (report.max_difference <= bound and report.mean_kl <= kl_bound):
            raise fail(
                "merge-differs",
                difference=f"{report.max_difference:.3g}",
                kl=f"{report.mean_kl:.3g}",
                bound=f"{bound:g}",
                kl_bound=f"{kl_bound:g}",
            )
        return report
