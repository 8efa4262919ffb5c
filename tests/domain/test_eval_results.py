"""Results: the authors' averages, two models beside each other, and what flipped."""

from dataclasses import replace

import pytest

from domain.eval_results import Measured, Resampling, result_of
from domain.measurement import Measurement, Metric

BY = Resampling(samples=200, seed=0)


def made(
    item: str, value: float, model: str = "base", subject: str = "law", **others: object
) -> Measurement:
    return Measurement(
        evaluation="exam",
        item=item,
        model=model,
        subject=subject,
        category=others.pop("category", "STEM" if subject == "maths" else "Other"),  # type: ignore[arg-type]
        value=value,
        **others,  # type: ignore[arg-type]
    )


LAW = [made(f"law-{n}", float(n < 1)) for n in range(4)]
MATHS = [made(f"maths-{n}", 1.0, subject="maths") for n in range(2)]
EXAM = Measured(title="exam", metric=Metric.ACCURACY, measurements=(*LAW, *MATHS))


@pytest.mark.parametrize(("how", "overall"), [("questions", 3 / 6), ("subjects", (0.25 + 1) / 2)])
def test_an_exam_is_averaged_as_its_authors_do(how: str, overall: float) -> None:
    result = result_of(replace(EXAM, average=how), ["base"], BY)  # type: ignore[arg-type]
    found = result.models["base"]
    assert found.overall.value == pytest.approx(overall)
    assert {name: each.value for name, each in found.subjects.items()} == {"law": 0.25, "maths": 1}
    assert {name: each.items for name, each in found.categories.items()} == {"Other": 4, "STEM": 2}
    assert result.comparison is None


def test_a_subject_counts_in_every_category_it_names_and_once_overall() -> None:
    items = tuple(replace(each, also=("China specific",)) for each in LAW)
    found = result_of(replace(EXAM, measurements=(*items, *MATHS)), ["base"], BY).models["base"]
    counted = {name: each.items for name, each in found.categories.items()}
    assert counted == {"China specific": 4, "Other": 4, "STEM": 2}
    assert (found.overall.items, found.overall.value) == (6, 3 / 6)


def test_lengths_are_binned_by_count() -> None:
    items = tuple(made(f"{n}", float(n >= 8), length=10 * n) for n in range(10))
    (bins,) = [result_of(replace(EXAM, measurements=items), ["base"], BY).models["base"].lengths]
    assert [(each.shortest, each.longest) for each in bins] == [
        (0, 10), (20, 30), (40, 50), (60, 70), (80, 90),
    ]  # fmt: skip
    assert [each.estimate.value for each in bins] == [0, 0, 0, 0, 1]


def test_two_models_are_compared_on_what_both_measured() -> None:
    after = [
        made("law-0", 0.0, "tuned", detail={"chosen": "B"}),
        made("law-1", 1.0, "tuned", detail={"chosen": "A"}),
        made("law-2", 1.0, "tuned"),
        made("law-9", 1.0, "tuned"),
    ]
    found = result_of(replace(EXAM, measurements=(*LAW, *after)), ["base", "tuned"], BY)
    two = found.comparison
    assert two is not None
    assert (two.before, two.after, two.gained, two.lost, two.unmatched) == (
        "base",
        "tuned",
        2,
        1,
        2,
    )
    assert two.difference.value == pytest.approx(1 / 3)
    assert two.p_value == 1.0
    assert [(flip.item, flip.gained) for flip in two.flips] == [
        ("law-0", False),
        ("law-1", True),
        ("law-2", True),
    ]
    assert two.flips[1].after == {"chosen": "A"}


def test_perplexity_weighs_tokens_and_lower_is_better() -> None:
    nats = Measured(
        title="text",
        metric=Metric.PERPLEXITY,
        measurements=(
            made("a", 2.0, weight=3.0),
            made("b", 4.0, weight=1.0),
            made("a", 1.0, "tuned", weight=3.0),
            made("b", 4.5, "tuned", weight=1.0),
        ),
    )
    found = result_of(nats, ["base", "tuned"], BY)
    assert found.models["base"].overall.value == pytest.approx(12.18249396)  # e^2.5
    assert found.models["base"].overall.low <= 12.19 <= found.models["base"].overall.high
    two = found.comparison
    assert two is not None
    assert two.difference.value == pytest.approx((-3 + 0.5) / 4)
    assert (two.gained, two.lost, two.flips, two.test) == (1, 1, (), "paired bootstrap")


def test_values_over_other_tokens_are_not_compared() -> None:
    nats = Measured(
        title="text",
        metric=Metric.PERPLEXITY,
        measurements=(made("a", 2.0, weight=3.0), made("a", 1.0, "other", weight=4.0)),
    )
    assert result_of(nats, ["base", "other"], BY).comparison is None
