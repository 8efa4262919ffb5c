"""Held-out sets: one or several, and what their logs say together."""

import math

import pytest

from adapters.held_out import evaluation_sets, evaluations, is_evaluation, standing_of
from domain.errors import HextuneError
from domain.masking import EncodedRow


def rows(**counts: int) -> list[EncodedRow]:
    return [
        EncodedRow((n,), (n,), source=name) for name, count in counts.items() for n in range(count)
    ]


def test_one_source_is_one_set_and_several_are_numbered() -> None:
    assert evaluation_sets([], len) is None
    assert evaluation_sets(rows(a=3), len) == 3
    assert evaluation_sets(rows(a=3, b=1), len) == {"0": 3, "1": 1}


@pytest.mark.parametrize(
    ("logs", "is_one"),
    [
        ({"eval_loss": 1.0}, True),
        ({"eval_12_loss": 1.0}, True),
        ({"loss": 1.0}, False),
        ({"train_loss": 1.0}, False),
        ({"eval_runtime": 1.0}, False),
    ],
)
def test_which_logs_are_evaluations(logs: dict[str, float], is_one: bool) -> None:
    assert is_evaluation(logs) is is_one


def test_a_loss_alone_has_a_perplexity() -> None:
    (found,) = evaluations([{"loss": 9, "step": 1}, {"eval_loss": 2.0, "step": 1}], rows(a=3))
    assert (found.step, dict(found.sources)) == (1, {})
    assert found.figures == {"loss": 2.0, "perplexity": pytest.approx(math.exp(2.0))}


def test_sources_count_by_their_rows() -> None:
    logs = [
        {"eval_0_loss": 1.0, "eval_rewards/margin": 4.0, "step": 5},
        {"eval_1_loss": 2.0, "eval_rewards/margin": 0.0, "step": 5},
    ]
    (found,) = evaluations(logs, rows(a=3, b=1))
    assert found.figures == {"loss": 1.25, "rewards/margin": 3.0}
    assert found.sources["b"] == {"loss": 2.0, "rewards/margin": 0.0}


def test_the_perplexity_of_several_sources_is_that_of_their_loss() -> None:
    logs = [{"eval_0_loss": 1.0, "step": 5}, {"eval_1_loss": 2.0, "step": 5}]
    (found,) = evaluations(logs, rows(a=3, b=1))
    assert found.figures["perplexity"] == pytest.approx(math.exp(1.25))


def test_an_evaluation_that_is_not_over_is_none_yet() -> None:
    logs = [{"eval_0_loss": 1.0, "step": 0}, {"eval_1_loss": 2.0, "step": 0}]
    assert len(evaluations([*logs, {"eval_0_loss": 1.0, "step": 5}], rows(a=1, b=1))) == 1


def test_a_figure_that_is_not_measured_is_refused() -> None:
    found = evaluations([{"eval_loss": 2.0, "step": 1}], rows(a=3))
    with pytest.raises(HextuneError) as caught:
        standing_of(found, "kl")
    assert caught.value.problems[0].code == "run-figure-missing"
