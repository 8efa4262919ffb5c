"""Our objectives against TRL's trainers: the same network, the same tokens, the same loss."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adapters.answers import Answers, PairCollator, columns, log_probabilities
from adapters.stages import cpo, dpo, kto, orpo, simpo
from domain.masking import IGNORED, EncodedRow

PROMPT = (11, 12, 13, 14)
ANSWERS = (((21, 22, 23), (31, 32)), ((24, 25), (33, 34, 35, 36)), ((26,), (37, 38)))
LOSSES = (
    ("sigmoid", 0.0, "sigmoid"),
    ("hinge", 0.0, "hinge"),
    ("ipo", 0.0, "ipo"),
    ("exo_pair", 0.1, "exo_pair"),
    ("nca_pair", 0.0, "nca_pair"),
    ("robust", 0.2, "robust"),
    ("bco_pair", 0.0, "bco_pair"),
    ("sppo_hard", 0.0, "sppo_hard"),
    ("aot", 0.1, "aot"),
    ("aot_unpaired", 0.1, "aot_unpaired"),
    ("apo_zero", 0.0, "apo_zero"),
    ("apo_down", 0.0, "apo_down"),
    ("discopop", 0.0, "discopop"),
)


def encoded(prompt: tuple[int, ...], answer: tuple[int, ...]) -> EncodedRow:
    return EncodedRow((*prompt, *answer), (*[IGNORED] * len(prompt), *answer))


def prompt_of(number: int) -> tuple[int, ...]:
    return PROMPT[: 2 + number]


def rows() -> list[dict[str, Any]]:
    pairs = []
    for number, (chosen, rejected) in enumerate(ANSWERS):
        prompt = prompt_of(number)
        row = encoded(prompt, chosen)
        pairs.append(EncodedRow(row.input_ids, row.labels, rejected=encoded(prompt, rejected)))
    return [columns(pair) for pair in pairs]


def fresh(folder: Path) -> Any:
    """A LoRA that has not learned yet; `stray` moves it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.fixtures.tiny_model import build_tiny_model

    network = AutoModelForCausalLM.from_pretrained(build_tiny_model(folder))
    network.name_or_path = str(folder)
    return get_peft_model(network, LoraConfig(r=4, target_modules="all-linear"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fresh(tmp_path_factory.mktemp("policy"))


def stray(network: Any) -> None:
    """Move the adapter away from its start, by the same steps each time."""
    generator = torch.Generator().manual_seed(1)
    for name, weight in network.named_parameters():
        if "lora_B.default" in name:
            weight.data = 0.1 * torch.randn(weight.shape, generator=generator)


def runs(network: Any) -> tuple[Any, Any]:
    def reference(batch: Any) -> Answers:
        with torch.no_grad(), network.disable_adapter():
            return log_probabilities(network, batch)

    return lambda batch: log_probabilities(network, batch), reference


@pytest.fixture(scope="module")
def theirs(policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """TRL's DPOTrainer over a stand-in row, which tokenizes text itself."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=policy,
        args=DPOConfig(
            output_dir=str(tmp_path_factory.mktemp("dpo")), use_cpu=True, bf16=False, report_to=[]
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=AutoTokenizer.from_pretrained(policy.get_base_model().name_or_path),
    )
    stray(policy)
    return trainer


def trl_batch() -> dict[str, Any]:
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    pairs = [
        {"prompt_ids": list(prompt_of(n)), "chosen_ids": list(c), "rejected_ids": list(r)}
        for n, (c, r) in enumerate(ANSWERS)
    ]
    batch: dict[str, Any] = DataCollatorForPreference(pad_token_id=0)(pairs)
    return batch


@pytest.mark.parametrize(("name", "smoothing", "their_name"), LOSSES)
def test_dpo_is_theirs(
    policy: Any, theirs: Any, name: Any, smoothing: float, their_name: str
) -> None:
    theirs.loss_types, theirs.loss_weights = [their_name], [1.0]
    theirs.beta, theirs.label_smoothing, theirs.ld_alpha = 0.3, smoothing, None
    options = dpo.Options(loss=name, beta=0.3, label_smoothing=smoothing)
    judged = dpo.objective(options)(PairCollator(0)(rows()), *runs(policy))
    expected = theirs.compute_loss(theirs.model, trl_batch())
    assert judged.losses.mean().item() == pytest.approx(expected.item(), rel=1e-4)


def test_options_of_dpo_are_theirs(policy: Any, theirs: Any) -> None:
    theirs.loss_types, theirs.loss_weights, theirs.beta = ["sigmoid"], [1.0], 0.3
    theirs.ld_alpha = 0.4
    batch = PairCollator(0, dpo.discount(0.4))(rows())
    judged = dpo.objective(dpo.Options(beta=0.3, ld_alpha=0.4))(batch, *runs(policy))
    expected = theirs.compute_loss(theirs.model, trl_batch())
    assert judged.losses.mean().item() == pytest.approx(expected.item(), rel=1e-4)
    theirs.ld_alpha, theirs.loss_types = None, ["sigmoid_norm"]
    judged = dpo.objective(dpo.Options(beta=0.3, length_normalized=True))(
        PairCollator(0)(rows()), *runs(policy)
    )
    expected = theirs.compute_loss(theirs.model, trl_batch())
    assert judged.losses.mean().item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_mixed_in_cross_entropy_is_theirs_for_a_single_pair(policy: Any, theirs: Any) -> None:
    """TRL averages over all tokens of a batch, the paper and we over those of each answer."""
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    theirs.loss_types, theirs.loss_weights = ["sigmoid", "sft"], [1.0, 0.5]
    theirs.beta, theirs.ld_alpha = 0.3, None
    single = PairCollator(0)(rows()[:1])
    judged = dpo.objective(dpo.Options(beta=0.3, sft_weight=0.5))(single, *runs(policy))
    chosen, rejected = ANSWERS[0]
    pair = {"prompt_ids": list(prompt_of(0)), "chosen_ids": list(chosen)}
    batch = DataCollatorForPreference(pad_token_id=0)([{**pair, "rejected_ids": list(rejected)}])
    expected = theirs.compute_loss(theirs.model, batch)
    assert judged.losses.mean().item() == pytest.approx(expected.item(), rel=1e-4)


def test_kto_is_theirs(tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import KTOConfig, KTOTrainer
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    network = fresh(tmp_path / "base")
    trainer = KTOTrainer(
        model=network,
        args=KTOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            report_to=[],
            beta=0.3,
            desirable_weight=1.5,
            undesirable_weight=0.7,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "completion": "b", "label": True}] * 2),
        processing_class=AutoTokenizer.from_pretrained(tmp_path / "base"),
    )
    stray(network)
    liked = [True, False, True]
    answers = [(21, 22), (24, 25, 27), (26, 28, 29)]  # crossed, none is longer than the longest
    theirs = [
        {
            "prompt_ids": list(prompt_of(n)),
            "completion_ids": list(answers[n]),
            "KL_completion_ids": list(answers[(n + 1) % 3]),
            "label": liked[n],
        }
        for n in range(3)
    ]
    ours = [
        columns(EncodedRow(row.input_ids, row.labels, liked=liked[n]))
        for n, row in enumerate(encoded(prompt_of(n), answers[n]) for n in range(3))
    ]
    expected = trainer.compute_loss(
        trainer.model, DataCollatorForUnpairedPreference(pad_token_id=0)(theirs)
    )
    batch = PairCollator(0)(ours)
    run, reference = runs(network)
    kto.baseline(0)([batch], run, reference)
    assert batch["baseline"] > 0
    options = kto.Options(beta=0.3, desirable_weight=1.5, undesirable_weight=0.7)
    judged = kto.objective(options)(batch, run, reference)
    assert judged.losses.mean().item() == pytest.approx(expected.item(), rel=1e-4)


POLICY = torch.tensor([-3.0, -5.0, -0.4, -6.0], dtype=torch.float64)
TOKENS = torch.tensor([3, 4, 2, 5])


def judged(objective: Any) -> Any:
    return objective({}, lambda _: Answers(POLICY, TOKENS), None).losses


def test_orpo_is_theirs() -> None:
    from trl.experimental.orpo import ORPOTrainer

    chosen, rejected = (POLICY / TOKENS).chunk(2)
    settings = SimpleNamespace(beta=0.4, accelerator=SimpleNamespace(device="cpu"))
    theirs = ORPOTrainer.odds_ratio_loss(settings, chosen, rejected)[0]
    expected = -chosen - theirs
    ours = judged(orpo.objective(orpo.Options(weight=0.4)))
    assert ours.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo", "simpo"])
def test_cpo_and_simpo_are_theirs(loss: Any) -> None:
    from trl.experimental.cpo import CPOTrainer

    mean = loss == "simpo"
    chosen, rejected = (POLICY / TOKENS if mean else POLICY).chunk(2)
    settings = SimpleNamespace(
        beta=2.0,
        alpha=0.0,
        label_smoothing=0.0,
        loss_type=loss,
        simpo_gamma=0.5,
        accelerator=SimpleNamespace(device="cpu"),
    )
    theirs = CPOTrainer.cpo_loss(settings, chosen, rejected)[0]
    nll = -(POLICY / TOKENS).chunk(2)[0]
    options = cpo.Options(loss=loss, beta=2.0, margin_ratio=0.25, sft_weight=0.3)
    ours = judged(cpo.objective(options))
    assert ours.tolist() == pytest.approx((theirs + 0.3 * nll).tolist(), rel=1e-6)
    if mean:
        alone = judged(simpo.objective(simpo.Options(beta=2.0, margin_ratio=0.25)))
        assert alone.tolist() == pytest.approx(theirs.tolist(), rel=1e-6)
