"""The arithmetic of learning from rewards, against closed forms and against gradients."""

import math

import pytest
import torch

from adapters.rl_math import (
    LossMean,
    adapted_kl_weight,
    clipped_policy,
    clipped_value,
    generalized_advantages,
    group_advantages,
    kl_estimate,
    leave_one_out,
    share,
    token_rewards,
    whitened,
)

MASK = torch.tensor([[False, True, True, True, False], [False, False, True, True, True]])


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_score_falls_on_the_last_token_and_each_token_pays_its_penalty() -> None:
    penalties = torch.full(MASK.shape, 0.25)
    found = token_rewards(torch.tensor([2.0, -1.0]), penalties, MASK)
    assert found.tolist() == [[0, -0.25, -0.25, 1.75, 0], [0, 0, -0.25, -0.25, -1.25]]


@pytest.mark.parametrize(("discount", "decay"), [(1.0, 1.0), (0.9, 0.5), (1.0, 0.0)])
def test_generalized_advantages_are_decayed_sums_of_errors(discount: float, decay: float) -> None:
    """Written out for three tokens: A_t = sum over l of (g * lambda)^l * error_(t + l)."""
    rewards = doubles(0, 0.5, -0.25, 2, 0).repeat(2, 1).roll(1, 1)
    rewards[0] = doubles(0, 0.5, -0.25, 2, 0)
    rewards[1] = doubles(0, 0, 1, 0, -1)
    values = torch.where(MASK, doubles(9, 0.1, 0.2, 0.3, 0.4), 0.0)
    found = generalized_advantages(rewards, values, MASK, discount=discount, decay=decay)
    for row, start in ((0, 1), (1, 2)):
        v = [*values[row, start : start + 3].tolist(), 0.0]
        r = rewards[row, start : start + 3].tolist()
        errors = [r[t] + discount * v[t + 1] - v[t] for t in range(3)]
        expected = [
            sum((discount * decay) ** (later - t) * errors[later] for later in range(t, 3))
            for t in range(3)
        ]
        assert found[row, start : start + 3].tolist() == pytest.approx(expected)
    assert found[~MASK].abs().sum() == 0


def test_with_decay_1_returns_are_plain_sums_of_rewards() -> None:
    rewards = torch.where(MASK, doubles(0, 1, 2, 3, 4), 0.0)
    values = torch.where(MASK, doubles(0, 5, -5, 7, 1), 0.0)
    advantages = generalized_advantages(rewards, values, MASK, discount=1.0, decay=1.0)
    assert (advantages + values)[0, 1:4].tolist() == pytest.approx([6.0, 5.0, 3.0])


def test_kl_estimates_have_their_closed_forms_and_the_right_mean() -> None:
    p, q = doubles(0.5, 0.3, 0.2), doubles(0.2, 0.3, 0.5)
    true = float((p * (p / q).log()).sum())
    found = {kind: kl_estimate(kind, p.log(), q.log()) for kind in ("k1", "k2", "k3")}
    assert found["k1"].tolist() == pytest.approx((p / q).log().tolist())
    assert found["k2"].tolist() == pytest.approx(((p / q).log() ** 2 / 2).tolist())
    assert found["k3"].tolist() == pytest.approx((q / p - 1 - (q / p).log()).tolist())
    assert float((p * found["k1"]).sum()) == pytest.approx(true)
    assert float((p * found["k3"]).sum()) == pytest.approx(true)
    assert (found["k2"] >= 0).all()
    assert (found["k3"] >= 0).all()


def test_an_adaptive_weight_follows_the_divergence_in_bounded_steps() -> None:
    assert adapted_kl_weight(0.1, 6.0, 6.0) == 0.1
    assert adapted_kl_weight(0.1, 6.6, 6.0) == pytest.approx(0.1 * (1 + 0.1 * 0.1))
    assert adapted_kl_weight(0.1, 600.0, 6.0) == pytest.approx(0.1 * (1 + 0.1 * 0.2))
    assert adapted_kl_weight(0.1, 0.0, 6.0) == pytest.approx(0.1 * (1 - 0.1 * 0.2))


def test_whitening_counts_the_masked_positions_alone() -> None:
    values = torch.tensor([[99.0, 1, 2, 3, 99], [99, 99, 4, 5, 6]])
    found = whitened(values, MASK)
    assert float(found[MASK].mean()) == pytest.approx(0, abs=1e-6)
    assert float(found[MASK].std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert found[~MASK].abs().sum() == 0
    assert float(whitened(values, MASK, centred=False)[MASK].mean()) == pytest.approx(3.5)


def test_the_clip_stops_gains_and_never_losses() -> None:
    ratios, advantages = doubles(1.5, 1.5, 0.5, 0.5, 1.1), doubles(1, -1, 1, -1, 2)
    losses, clipped = clipped_policy(ratios.log(), advantages, 0.2)
    assert losses.tolist() == pytest.approx([-1.2, 1.5, -0.5, 0.8, -2.2])
    assert clipped.tolist() == [True, False, False, True, False]
    higher, _ = clipped_policy(ratios.log(), advantages, 0.2, 0.28)
    assert higher.tolist() == pytest.approx([-1.28, 1.5, -0.5, 0.8, -2.2])


def test_a_clipped_ratio_has_no_gradient_and_a_free_one_has_its_advantages() -> None:
    log_ratio = doubles(math.log(1.5), 0.0).requires_grad_()
    losses, _ = clipped_policy(log_ratio, doubles(1.0, 3.0), 0.2)
    losses.sum().backward()
    assert log_ratio.grad is not None
    assert log_ratio.grad.tolist() == pytest.approx([0.0, -3.0])


def test_values_may_move_by_the_clip_for_free() -> None:
    values = doubles(1.5, 0.1, -0.5)
    old, returns = doubles(1.0, 0.0, 0.0), doubles(2.0, 1.0, 0.0)
    expected = [max(0.25, 0.64) / 2, max(0.81, 0.81) / 2, max(0.25, 0.04) / 2]
    assert clipped_value(values, old, returns, 0.2).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["policy", "value", "k3"])
def test_gradients_agree_with_differences(loss: str) -> None:
    now = doubles(0.05, -0.3, 0.4, 1.2).requires_grad_()
    old, other = doubles(0.0, 0.0, 0.1, 0.2), doubles(1.0, -1.0, 2.0, -2.0)
    functions = {
        "policy": lambda x: clipped_policy(x - old, other, 0.2)[0],
        "value": lambda x: clipped_value(x, old, other, 0.2),
        "k3": lambda x: kl_estimate("k3", x, other),
    }
    assert torch.autograd.gradcheck(functions[loss], (now,))


def test_group_advantages_compare_the_answers_to_one_prompt() -> None:
    scores = torch.tensor([1.0, 0.0, 0.0, 1.0, 5.0, 5.0, 5.0, 5.0])
    plain = group_advantages(scores, 4, "none")
    assert plain.tolist() == [0.5, -0.5, -0.5, 0.5, 0, 0, 0, 0]
    deviation = math.sqrt(4 * 0.25 / 3) + 1e-4
    scaled = group_advantages(scores, 4, "group")
    assert scaled.tolist() == pytest.approx([v / deviation for v in plain.tolist()])
    batch = group_advantages(scores, 4, "batch")
    assert batch.tolist() == pytest.approx([v / (float(scores.std()) + 1e-4) for v in plain])


def test_leaving_one_out_compares_with_the_others() -> None:
    found = leave_one_out(torch.tensor([1.0, 0.0, 0.0, 4.0, 4.0, 1.0]), 3)
    assert found.tolist() == pytest.approx([1.0, -0.5, -0.5, 1.5, 1.5, -3.0])


@pytest.mark.parametrize("kind", ["grpo", "dapo", "dr_grpo"])
def test_a_steps_loss_does_not_depend_on_how_its_answers_are_split(kind: LossMean) -> None:
    generator = torch.Generator().manual_seed(1)
    losses = torch.rand(8, 6, generator=generator, dtype=torch.float64)
    mask = torch.arange(6) < torch.randint(1, 7, (8, 1), generator=generator)
    whole = {"answers": 8.0, "tokens": float(mask.sum()), "most_tokens": 6.0}

    def split(size: int) -> float:
        parts = zip(losses.split(size), mask.split(size), strict=True)
        return sum(float((each * share(kind, m, whole)).sum()) for each, m in parts)

    rows = [losses[n][mask[n]] for n in range(8)]
    expected = {
        "grpo": sum(float(row.mean()) for row in rows) / 8,
        "dapo": float(torch.cat(rows).mean()),
        "dr_grpo": sum(float(row.sum()) for row in rows) / (8 * 6),
    }[kind]
    for size in (1, 2, 8):
        assert split(size) == pytest.approx(expected)
