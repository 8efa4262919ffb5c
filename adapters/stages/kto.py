"""KTO: learning from single answers that were liked or not (Ethayarajh et al. 2024, eq. 7).

The KL divergence from the reference model, which answers are measured against, is estimated in each
step by answers set beside other rows' prompts: prompt i with answer i + 1, wrapping around. It is
the step's own, however its rows are split into passes; where a step has one row, it is 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.answers import Judged, PairCollator, Run, Together
from adapters.preference_losses import prospect
from adapters.stages import Parts
from adapters.stages.dpo import pad_token, pair_trainer
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.masking import IGNORED
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="kto",
    title="Kahneman-Tversky optimization",
    eats=DatasetKind.FEEDBACK,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
    needs_reference=True,
)


@section
class Options:
    """Options of stage kto."""

    beta: float = limited(0.1, gt=0)
    """How far the model may leave the reference: larger keeps it closer."""
    desirable_weight: float = limited(1.0, ge=0)
    """Weight of answers that were liked; raise it where they are few."""
    undesirable_weight: float = limited(1.0, ge=0)
    """Weight of answers that were not."""


def check(values: Mapping[str, Json]) -> None:
    """No options contradict each other."""


def objective(options: Options) -> Any:
    """Loss and figures of a batch of judged answers."""

    def judge(batch: Mapping[str, Any], policy: Run, reference: Run | None) -> Judged:
        assert reference is not None
        baseline = batch["baseline"]
        gain = policy(batch).total - reference(batch).total
        liked = batch["liked"].bool()
        losses = prospect(
            gain,
            liked,
            baseline,
            beta=options.beta,
            desirable=options.desirable_weight,
            undesirable=options.undesirable_weight,
        )
        rewards = options.beta * gain.detach()
        found = {"kl": baseline}
        for name, chosen in (("rewards/liked", liked), ("rewards/disliked", ~liked)):
            if chosen.any():
                found[name] = rewards[chosen]
        return Judged(losses, found)

    return judge


def baseline(pad: int) -> Together:
    """Notes in every pass of a step the step's estimate of the KL divergence, in nats."""

    def note(passes: Sequence[dict[str, Any]], policy: Run, reference: Run | None) -> None:
        import torch

        assert reference is not None
        first = passes[0]["input_ids"]
        rows = [row for batch in passes for row in _rows(batch)]
        gains = [first.new_zeros(1, dtype=torch.float32)]
        if len(rows) > 1:
            crossed = _crossed(rows)
            size = len(passes[0]["rows"])
            chunks = [crossed[at : at + size] for at in range(0, len(crossed), size)]
            batches = [_on(PairCollator(pad)(chunk), first.device) for chunk in chunks]
            gains = [policy(batch).total - reference(batch).total for batch in batches]
        for batch in passes:
            batch["baseline"] = torch.cat(gains).mean().clamp(min=0)

    return note


def _rows(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a padded batch."""
    ends = batch["attention_mask"].sum(1).tolist()
    return [
        {name: batch[name][number, :end].tolist() for name in ("input_ids", "labels")}
        for number, end in enumerate(ends)
    ]


def _crossed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each prompt with the next row's answer, cut where it is longer than the longest row."""
    limit = max(len(row["input_ids"]) for row in rows)
    mixed = []
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        prompt, answer = row["input_ids"][: _answer(row)], other["input_ids"][_answer(other) :]
        labels = [IGNORED] * len(prompt) + other["labels"][_answer(other) :]
        mixed.append({"input_ids": [*prompt, *answer][:limit], "labels": labels[:limit]})
    return mixed


def _answer(row: Mapping[str, Any]) -> int:
    """Where the answer begins."""
    return next(number for number, label in enumerate(row["labels"]) if label != IGNORED)


def _on(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: value.to(device) for name, value in batch.items()}


def build_trainer(parts: Parts) -> Any:
    """A trainer over judged answers."""
    judge = objective(options_of(Options, parts.options))
    return pair_trainer(parts, judge, together=baseline(pad_token(parts.tokenizer)))
