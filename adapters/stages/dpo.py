"""DPO: the chosen answer becomes likelier than the rejected one, measured from a reference model.

Rafailov et al. 2023, and the family of losses in `adapters.preference_losses`. The sum of token
log-probabilities is compared; IPO and `length_normalized` compare their mean. LD-DPO (Liu et al.
2024) counts tokens beyond the shorter answer's length only by a share.
"""

from collections.abc import Mapping
from typing import Any, Literal

from adapters.answers import Judged, Objective, PairCollator, Run, Together, columns, halves
from adapters.held_out import evaluation_sets
from adapters.preference_losses import LOSSES
from adapters.stages import Parts
from domain.dataset import DatasetKind
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="dpo",
    title="direct preference optimization",
    eats=DatasetKind.PREFERENCE,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
    needs_reference=True,
)

LossName = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
]


@section
class Options:
    """Options of stage dpo."""

    loss: LossName = "sigmoid"
    """The loss over the margin between the two answers."""
    beta: float = limited(0.1, gt=0)
    """How far the model may leave the reference: larger keeps it closer."""
    label_smoothing: float = limited(0.0, ge=0, lt=0.5)
    """Share of the pairs taken to be the wrong way round; for sigmoid, robust, exo_pair and aot."""
    length_normalized: bool = False
    """Compare mean log-probabilities instead of sums, so that long answers gain nothing."""
    sft_weight: float = limited(0.0, ge=0)
    """Weight of the cross entropy of the chosen answer, added to the loss (RPO)."""
    ld_alpha: float | None = limited(None, ge=0, le=1)
    """LD-DPO: share by which tokens beyond the shorter answer's length count; all where not set."""


SMOOTHED = ("sigmoid", "robust", "exo_pair", "aot", "aot_unpaired")


def check(values: Mapping[str, Json]) -> None:
    """Raises HextuneError for options that contradict each other."""
    options = options_of(Options, values)
    if options.label_smoothing and options.loss not in SMOOTHED:
        place = Place(field="stage.label_smoothing")
        raise fail("rule-smoothing-unused", place, loss=options.loss, fits=", ".join(SMOOTHED))
    if options.loss == "exo_pair" and not options.label_smoothing:
        raise fail("rule-smoothing-needed", Place(field="stage.label_smoothing"), loss="exo_pair")


def objective(options: Options) -> Objective:
    """Loss and figures of a batch of pairs."""
    loss_of = LOSSES[options.loss]
    mean = options.length_normalized or options.loss == "ipo"

    def judge(batch: Mapping[str, Any], policy: Run, reference: Run | None) -> Judged:
        assert reference is not None
        found, referred = policy(batch), reference(batch)
        ours, theirs = halves(found), halves(referred)
        values = [[each.mean if mean else each.total for each in side] for side in (ours, theirs)]
        gains = [a - b for a, b in zip(*values, strict=True)]
        gaps = [chosen - rejected for chosen, rejected in values]
        compared = gaps if options.loss == "aot" else gains
        losses = loss_of(compared[0], compared[1], options.beta, options.label_smoothing)
        if options.sft_weight:
            losses = losses - options.sft_weight * ours[0].mean
        rewards = [options.beta * gain.detach() for gain in gains]
        return Judged(losses, figures(*rewards))

    return judge


def figures(chosen: Any, rejected: Any) -> dict[str, Any]:
    """What people watch while preferences are learned: rewards (N,) of both answers."""
    return {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margin": chosen - rejected,
        "rewards/accuracy": chosen > rejected,
    }


def build_trainer(parts: Parts) -> Any:
    """A trainer over pairs."""
    options = options_of(Options, parts.options)
    weigh = None if options.ld_alpha is None else discount(options.ld_alpha)
    return pair_trainer(parts, objective(options), weigh=weigh)


def pad_token(tokenizer: Any) -> int:
    """The token that fills shorter rows; nothing is learned from it."""
    pad = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if pad is None else pad)


def pair_trainer(
    parts: Parts,
    judge: Objective,
    *,
    weigh: Any = None,
    together: Together | None = None,
    kind: Any = None,
) -> Any:
    """A trainer of an objective over the rows of `parts`, PreferenceTrainer unless of a `kind`."""
    from datasets import Dataset
    from transformers import TrainingArguments

    from adapters.preference_trainer import PreferenceTrainer

    data, tokenizer = parts.data, parts.tokenizer
    evaluation = evaluation_sets(
        data.eval, lambda rows: Dataset.from_list([columns(row) for row in rows])
    )
    return (kind or PreferenceTrainer)(
        objective=judge,
        reference=parts.reference,
        together=together,
        model=parts.network,
        args=TrainingArguments(**parts.arguments, remove_unused_columns=False),
        data_collator=PairCollator(pad_token(tokenizer), weigh),
        train_dataset=_training(parts),
        eval_dataset=evaluation,
        processing_class=tokenizer,
        callbacks=list(parts.callbacks),
    )


def _training(parts: Parts) -> Any:
    from datasets import Dataset, IterableDataset

    stream = parts.data.stream
    if stream is None:
        return Dataset.from_list([columns(row) for row in parts.data.train])
    return IterableDataset.from_generator(lambda: (columns(row) for rows in stream for row in rows))


def discount(alpha: float) -> Any:
    """Weights of tokens: `alpha` beyond the shorter answer of a pair."""

    def weigh(batch: dict[str, Any]) -> None:
        import torch

        answer_BT = batch["labels"] >= 0
        lengths_2N = answer_BT.sum(1).view(2, -1)
        shared_B = lengths_2N.min(0).values.repeat(2)
        beyond_BT = answer_BT.cumsum(1) > shared_B[:, None]
        batch["weights"] = torch.where(beyond_BT, alpha, 1.0)

    return weigh
