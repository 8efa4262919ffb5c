"""GRPO and RLOO against TRL's trainers: the same network, tokens and advantages, the same loss.

How TRL makes advantages cannot be asked for without its whole generation; `test_rl_math.py` has
those in closed form.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.policy_pass import policy_pass
from adapters.rl_math import LossMean
from adapters.rollouts import Rollouts
from adapters.stages import grpo, rloo

ROWS = (((11, 12, 13), (21, 22, 23)), ((14,), (24,)), ((15, 16), (25, 26, 27, 28)))
"""Prompts and answers of several lengths, as token ids."""
MOST_TOKENS = 6
TEMPERATURE = 0.8
KL_WEIGHT = 0.3
REWARDS: tuple[dict[str, Any], ...] = ({"name": "regex", "pattern": "e"},)


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def ours(network: Any) -> tuple[Rollouts, torch.Tensor]:
    """(answers, padded on the right; their log-probabilities now)."""
    longest = max(len(prompt) + len(answer) for prompt, answer in ROWS)
    ids = torch.zeros(len(ROWS), longest, dtype=torch.long)
    attended = torch.zeros_like(ids)
    answers = torch.zeros(len(ROWS), longest - 1, dtype=torch.bool)
    for number, (prompt, answer) in enumerate(ROWS):
        end = len(prompt) + len(answer)
        ids[number, :end] = torch.tensor([*prompt, *answer])
        attended[number, :end] = 1
        answers[number, len(prompt) - 1 : end - 1] = True
    part = Rollouts(ids=ids, attended=attended, answer=answers, scores=torch.zeros(len(ROWS)))
    logps, _, _ = policy_pass(network, part, TEMPERATURE, None)
    generator = torch.Generator().manual_seed(0)
    old, reference = (
        torch.where(answers, logps.detach() + 0.3 * torch.randn(logps.shape, generator=generator),
                    0.0)
        for _ in range(2)
    )  # fmt: skip
    gained = torch.tensor([1.5, -0.5, -1.0])
    part = Rollouts(
        ids=ids, attended=attended, answer=answers, scores=part.scores,
        old=old, reference=reference, advantages=gained[:, None] * answers,
    )  # fmt: skip
    return part, logps


def theirs(part: Rollouts) -> dict[str, torch.Tensor]:
    """The same as TRL lays them out: prompts padded on the left, answers on the right."""
    prompt, answer = (max(len(row[side]) for row in ROWS) for side in (0, 1))
    found = {
        name: torch.zeros(len(ROWS), width, dtype=torch.long)
        for name, width in (
            ("prompt_ids", prompt), ("prompt_mask", prompt),
            ("completion_ids", answer), ("completion_mask", answer),
        )
    }  # fmt: skip
    old, reference = (torch.zeros(len(ROWS), answer) for _ in range(2))
    for number, (asked, said) in enumerate(ROWS):
        found["prompt_ids"][number, prompt - len(asked) :] = torch.tensor(asked)
        found["prompt_mask"][number, prompt - len(asked) :] = 1
        found["completion_ids"][number, : len(said)] = torch.tensor(said)
        found["completion_mask"][number, : len(said)] = 1
        old[number, : len(said)] = part.old[number][part.answer[number]]
        reference[number, : len(said)] = part.reference[number][part.answer[number]]
    advantages = torch.stack([row[at][0] for row, at in zip(part.advantages, part.answer)])  # noqa: B905
    return {
        **found, "old_per_token_logps": old, "old_logps": old.sum(1),
        "ref_per_token_logps": reference,
        "advantages": advantages, "num_items_in_batch": part.answer.sum(),
    }  # fmt: skip


def trl_trainer(kind: str, network: Any, folder: Path, **options: Any) -> Any:
    """TRL's trainer over a stand-in row; it is asked for a loss alone."""
    import trl
    from datasets import Dataset
    from transformers import AutoTokenizer

    config, trainer = getattr(trl, f"{kind}Config"), getattr(trl, f"{kind}Trainer")
    return trainer(
        model=network,
        reward_funcs=lambda completions, **more: [0.0] * len(completions),
        args=config(
            output_dir=str(folder), use_cpu=True, bf16=False, report_to=[], num_generations=2,
            per_device_train_batch_size=2, temperature=TEMPERATURE, beta=KL_WEIGHT,
            max_completion_length=MOST_TOKENS, **options,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 2),
        processing_class=AutoTokenizer.from_pretrained(network.name_or_path),
    )  # fmt: skip


WHOLE = {
    "answers": float(len(ROWS)),
    "tokens": float(sum(len(answer) for _, answer in ROWS)),
    "most_tokens": float(MOST_TOKENS),
}


def same(network: Any, loss: torch.Tensor, trainer: Any, batch: dict[str, Any]) -> None:
    """Loss and gradients agree."""
    weights = list(network.parameters())
    trainer.model.eval()
    expected = trainer.compute_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    pairs = (torch.autograd.grad(each, weights) for each in (loss, expected))
    for mine, other in zip(*pairs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("kind", "clip_high"), [("grpo", None), ("dapo", 0.28), ("dr_grpo", None)])
def test_grpo_is_theirs(
    network: Any, tmp_path: Path, kind: LossMean, clip_high: float | None
) -> None:
    part, logps = ours(network)
    options = grpo.Options(rewards=REWARDS, loss=kind, clip=0.2, clip_high=clip_high)
    loss, figures = grpo.Grpo(options, KL_WEIGHT).loss(part, logps, None, WHOLE)
    assert 0 < figures["rollouts/clipped"] < 1
    trainer = trl_trainer(
        "GRPO", network, tmp_path, loss_type=kind, epsilon_high=clip_high,
        use_bias_correction_kl=False,  # Shao et al. weigh the divergence by nothing
    )  # fmt: skip
    same(network, loss, trainer, theirs(part))


def test_rloo_is_theirs(network: Any, tmp_path: Path) -> None:
    part, logps = ours(network)
    loss, figures = rloo.Rloo(rloo.Options(rewards=REWARDS)).loss(part, logps, None, WHOLE)
    assert 0 < figures["rollouts/clipped"] < 1
    same(network, loss, trl_trainer("RLOO", network, tmp_path), theirs(part))
