"""Training on answers that are compared or judged: log-probabilities in, one loss a row out.

The loss of a step is the mean over its rows, however they are split into passes and however few the
last step of an epoch has.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from transformers import Trainer

from adapters.answers import (
    Answers,
    Objective,
    Reference,
    Run,
    Together,
    log_probabilities,
    still,
)
from adapters.held_out import is_evaluation
from adapters.parallel.rank_trainer import BLANK_TOKENS, RankTrainer


class PreferenceTrainer(RankTrainer, Trainer):  # type: ignore[misc]
    """transformers' Trainer with an objective over whole answers."""

    def __init__(
        self,
        *,
        objective: Objective,
        reference: Reference | None,
        together: Together | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs = True  # losses are divided by a step's rows here
        self._objective = objective
        self._reference = reference
        self._together = together
        self._figures: dict[str, list[float]] = {}

    @property
    def _referring(self) -> Run | None:
        return self._refer if self._reference is not None else None

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], int]:
        """The passes of a step, and how many rows they hold together, those of all ranks."""
        import torch

        passes, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if passes and self._together is not None:
            self._together(passes, self._watch, self._referring)
        counts = (batch.get("counts", torch.ones(len(batch["rows"]))) for batch in passes)
        counted = sum(int(each.sum()) for each in counts)
        if self.args.world_size > 1:
            ours = torch.tensor(counted, device=device)
            counted = int(self.accelerator.reduce(ours, reduction="sum"))
        return passes, counted

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Any:
        """The sum over rows divided by those of the step, or their mean when evaluating.

        `num_items_in_batch` counts the step's rows in training, and tokens when evaluating.
        """
        import torch

        if not model.training and self._together is not None:
            self._together([inputs], self._watch, self._referring)
        judged = self._objective(
            inputs, lambda batch: log_probabilities(model, batch), self._referring
        )
        counts = inputs.get("counts", torch.ones_like(judged.losses))
        total = (judged.losses * counts).sum()
        if model.training:  # gradients are averaged over ranks
            loss = total * self.args.world_size / num_items_in_batch
        else:
            loss = total / len(judged.losses)
        kind = "" if model.training else "eval_"
        for name, value in judged.figures.items():
            values = value.flatten()[counts.bool()] if value.numel() == len(counts) else value
            self._figures.setdefault(kind + name, []).extend(values.float().flatten().tolist())
        return (loss, {"loss": judged.losses.detach()}) if return_outputs else loss

    def _watch(self, batch: Mapping[str, Any]) -> Answers:
        """The policy, which does not learn from it."""
        import torch

        with torch.no_grad(), still(self.accelerator.unwrap_model(self.model)) as network:
            return log_probabilities(network, batch)

    def _refer(self, batch: Mapping[str, Any]) -> Answers:
        """The reference model, in the policy's number formats."""
        import torch

        assert self._reference is not None
        policy = self.accelerator.unwrap_model(self.model)
        with (
            torch.no_grad(),
            self.accelerator.autocast(),
            self._reference(policy) as network,
            still(network),
        ):
            return log_probabilities(network, batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the means of the figures since the last log of the same kind."""
        kind = "eval_" if is_evaluation(logs) else ""
        for name in [name for name in self._figures if name.startswith("eval_") is bool(kind)]:
            logs[name] = self._mean(self._figures.pop(name))
        super().log(logs, start_time)

    def _mean(self, values: Sequence[float]) -> float:
        """The mean of all ranks' values."""
        import torch

        if self.args.world_size == 1:
            return fmean(values)
        sums = torch.tensor([sum(values), len(values)], device=self.args.device)
        total, count = self.accelerator.reduce(sums, reduction="sum").tolist()
        return float(total / count)

    def blank(self, row: dict[str, Any]) -> dict[str, Any]:
        """The first tokens of its answers, which do not count."""
        ids, other = row["input_ids"][:BLANK_TOKENS], row.get("rejected_ids", [])[:BLANK_TOKENS]
        second = {"rejected_ids": other, "rejected_labels": other} if other else {}
        return {**row, "input_ids": ids, "labels": ids, **second, "blank": True}
