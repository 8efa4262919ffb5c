"""Results of an evaluation: averages with intervals, and two models on the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Literal

from domain.confidence import (
    Estimate,
    Stratum,
    estimate,
    mcnemar,
    paired_bootstrap,
)
from domain.fingerprint import Json
from domain.generation_metrics import bleu_of_all
from domain.measurement import Measurement, Metric

LENGTH_BINS = 5
"""Ranges of length, each with as many items."""
SHOWN_FLIPS = 50
"""Items that flipped which are listed; all are counted."""

Average = Literal["questions", "subjects"]
"""Whether an average goes over all items, or over the averages of the subjects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An evaluation and its measurements."""

    title: str
    """What reports call it."""
    metric: Metric
    """What its values are."""
    average: Average = "questions"
    """How the authors average it."""
    length_unit: str = "characters"
    """Unit of the items' lengths."""
    excluded: tuple[str, ...] = ()
    """One line for each row that was left out: where it stands and why."""
    notes: tuple[str, ...] = ()
    """What readers of the figures must know, such as a judge's prompt."""
    scores: Mapping[str, Metric] = field(default_factory=dict)
    """Figures of each item that are reported one by one instead of its value: the name under
    which they stand in the measurement's detail, in `scores`, and what they are."""
    evaluation: str = ""
    """Title its measurements carry, where `title` is of one of several scores."""
    counts: str = ""
    """Where details keep what BLEU of all answers together is made of, if they do."""
    measurements: tuple[Measurement, ...] = ()
    """Everything that was measured."""

    def each_score(self) -> Sequence["Measured"]:
        """One for each score, or the same where there is only the value."""
        return [self.of_score(name, metric) for name, metric in self.scores.items()] or [self]

    def of_score(self, name: str, metric: Metric) -> "Measured":
        """The figures called `name`, as values."""
        return replace(
            self,
            title=f"{self.title} {name}",
            metric=metric,
            scores={},
            evaluation=self.title,
            counts="bleu" if name == "bleu-4" else "",
            measurements=tuple(valued(each, name) for each in self.measurements),
        )


def valued(measurement: Measurement, score: str) -> Measurement:
    """The measurement with one of its scores as its value."""
    scores = measurement.detail["scores"]
    assert isinstance(scores, Mapping)
    return replace(measurement, value=float(str(scores[score])))


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthBin:
    """Items of about one length."""

    shortest: int
    """Length of the shortest."""
    longest: int
    """Length of the longest."""
    estimate: Estimate
    """Their average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """What one model reached."""

    overall: Estimate
    """Over everything, as the authors average it."""
    categories: Mapping[str, Estimate]
    """Over each category."""
    subjects: Mapping[str, Estimate]
    """Over each subject."""
    lengths: tuple[LengthBin, ...]
    """By length, from short to long."""
    together: float | None = None
    """BLEU of all answers together (corpus BLEU), which is no average; None for other figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An item on which one model is right and the other is not."""

    item: str
    """Its content hash."""
    subject: str
    """Its subject."""
    gained: bool
    """Whether the second model is the one that is right."""
    before: Mapping[str, Json]
    """What the first model made of it."""
    after: Mapping[str, Json]
    """What the second model made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models on the items both were measured on."""

    before: str
    """The first model: the base."""
    after: str
    """The second model: the tuned one."""
    difference: Estimate
    """After less before, in the unit of the values."""
    p_value: float
    """Two-sided: how likely such a difference is where there is none."""
    test: str
    """The test it comes from."""
    gained: int
    """Items that got better."""
    lost: int
    """Items that got worse."""
    unmatched: int
    """Items only one of them was measured on."""
    flips: tuple[Flip, ...]
    """Items that flipped between right and wrong, the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """One evaluation, for every model."""

    title: str
    """What reports call it."""
    metric: Metric
    """What its values are."""
    average: Average
    """How its overall figure and its categories are averaged."""
    length_unit: str
    """Unit of the items' lengths."""
    excluded: tuple[str, ...]
    """One line for each row that was left out."""
    models: Mapping[str, ModelResult]
    """Model to what it reached."""
    notes: tuple[str, ...] = ()
    """What readers of the figures must know."""
    evaluation: str = ""
    """Title of the measurements, where this is one of several scores of them."""
    comparison: Comparison | None = None
    """The first two models beside each other."""

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How intervals are drawn."""

    samples: int
    """Resamples."""
    seed: int
    """Their seed."""


def result_of(measured: Measured, models: Sequence[str], by: Resampling) -> EvaluationResult:
    """The result; of two models the second, the tuned one, is compared with the first."""
    found = {
        model: [each for each in measured.measurements if each.model == model] for model in models
    }
    comparison = None
    if len(models) > 1:
        comparison = compare(measured, found[models[0]], found[models[1]], by)
    return EvaluationResult(
        title=measured.title,
        metric=measured.metric,
        average=measured.average,
        length_unit=measured.length_unit,
        excluded=measured.excluded,
        models={name: _model_result(measured, made, by) for name, made in found.items() if made},
        notes=measured.notes,
        evaluation=measured.evaluation,
        comparison=comparison,
    )


def _model_result(measured: Measured, found: Sequence[Measurement], by: Resampling) -> ModelResult:
    def shown(items: Sequence[Measurement]) -> Estimate:
        made = estimate(_strata(items, measured.average), samples=by.samples, seed=by.seed)
        return made.mapped(measured.metric.shown)

    ordered = sorted(found, key=lambda each: each.length)
    count = min(LENGTH_BINS, len(ordered))
    edges = [round(n * len(ordered) / count) for n in range(count + 1)]
    bins = [ordered[a:b] for a, b in pairwise(edges)]
    return ModelResult(
        overall=shown(found),
        categories={name: shown(items) for name, items in _by(found, "category").items()},
        subjects={name: shown(items) for name, items in _by(found, "subject").items()},
        lengths=tuple(
            LengthBin(shortest=items[0].length, longest=items[-1].length, estimate=shown(items))
            for items in bins
        ),
        together=_together(found, measured.counts) if measured.counts else None,
    )


def _together(found: Sequence[Measurement], counts: str) -> float:
    kept = [each.detail[counts] for each in found]
    return bleu_of_all([[float(str(n)) for n in each] for each in kept if isinstance(each, list)])


def compare(
    measured: Measured, before: Sequence[Measurement], after: Sequence[Measurement], by: Resampling
) -> Comparison | None:
    """Both on the items they share, or None where they share none.

    Values that stand for other tokens, as tokenizers differ, are not compared.
    """
    first = {each.item: each for each in before}
    pairs = [
        (first[each.item], each)
        for each in after
        if each.item in first and first[each.item].weight == each.weight
    ]
    if not pairs:
        return None
    strata = _difference_strata(pairs, measured.average)
    rises = [b.value - a.value for a, b in pairs if a.value != b.value]
    ups = sum(rise > 0 for rise in rises)
    better = ups if measured.metric.higher_is_better else len(rises) - ups
    exact = measured.metric is Metric.ACCURACY
    return Comparison(
        before=pairs[0][0].model,
        after=pairs[0][1].model,
        difference=estimate(strata, samples=by.samples, seed=by.seed),
        p_value=mcnemar(better, len(rises) - better)
        if exact
        else paired_bootstrap(strata, samples=by.samples, seed=by.seed),
        test="McNemar, exact" if exact else "paired bootstrap",
        gained=better,
        lost=len(rises) - better,
        unmatched=len(before) + len(after) - 2 * len(pairs),
        flips=tuple(_flips(pairs) if exact else ()),
    )


def _flips(pairs: Sequence[tuple[Measurement, Measurement]]) -> list[Flip]:
    changed = [(a, b) for a, b in pairs if a.value != b.value]
    return [
        Flip(
            item=b.item,
            subject=b.subject,
            gained=b.value > a.value,
            before=a.detail,
            after=b.detail,
        )
        for a, b in changed[:SHOWN_FLIPS]
    ]


def _by(found: Sequence[Measurement], part: str) -> dict[str, list[Measurement]]:
    groups: dict[str, list[Measurement]] = {}
    for each in found:
        for name in (each.category, *each.also) if part == "category" else (each.subject,):
            groups.setdefault(name, []).append(each)
    return dict(sorted(groups.items()))


def _strata(found: Sequence[Measurement], how: Average) -> list[Stratum]:
    if how == "questions":
        return [[(each.value, each.weight) for each in found]]
    return [
        [(each.value, each.weight) for each in items] for items in _by(found, "subject").values()
    ]


def _difference_strata(
    pairs: Sequence[tuple[Measurement, Measurement]], how: Average
) -> list[Stratum]:
    strata: dict[str, list[tuple[float, float]]] = {}
    for a, b in pairs:
        group = b.subject if how == "subjects" else ""
        strata.setdefault(group, []).append((b.value - a.value, b.weight))
    return list(strata.values())
