"""Answers as a model sees them: batches of token ids, log-probabilities, and whom to compare with.

The tokens are ours to the last one, which trainers of other libraries would make anew from text. A
batch of N pairs is 2N sequences: the N chosen answers first, then the N rejected ones.

Shapes: B sequences, T tokens, K positions before a token that has a label in any sequence,
V vocabulary, N rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from domain.masking import IGNORED, EncodedRow


@dataclass(frozen=True, slots=True)
class Answers:
    """Log-probabilities of N answers, in nats."""

    total: Any
    """(N,) summed over the answer's tokens, weighted where a stage weighs them."""
    tokens: Any
    """(N,) the answer's tokens."""

    @property
    def mean(self) -> Any:
        """(N,) averaged over the answer's tokens."""
        return self.total / self.tokens


@dataclass(frozen=True, slots=True)
class Judged:
    """What an objective makes of a batch."""

    losses: Any
    """(N,) the loss of each row."""
    figures: Mapping[str, Any]
    """What people watch, one number or (N,) each; means are logged."""


Run = Callable[[Mapping[str, Any]], "Answers"]
"""Runs a model on a batch."""
Objective = Callable[[Mapping[str, Any], Run, Run | None], Judged]
"""(batch, the policy, the reference model where there is one) to losses and figures."""
Together = Callable[[Sequence[dict[str, Any]], Run, Run | None], None]
"""Notes in the passes of a step what they have to know of each other; nothing is learned in it."""
Reference = Callable[[Any], AbstractContextManager[Any]]
"""Gives the reference model of a policy for as long as the context lasts."""


def log_probabilities(network: Any, batch: Mapping[str, Any]) -> Answers:
    """Log-probabilities of the tokens with labels, weighted where a batch has `weights`.

    Logits are made for K positions only. What the softmax keeps for the backward pass is made
    again there, a sequence at a time, so that of (B, K, V) there are the logits and their gradient.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets_BT = batch["labels"][:, 1:]
    kept_K = (targets_BT != IGNORED).any(0).nonzero()[:, 0]
    logits_BKV = network(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        logits_to_keep=kept_K,
        use_cache=False,
    ).logits
    targets_BK = targets_BT[:, kept_K]
    pairs = zip(logits_BKV, targets_BK, strict=True)
    logps_BK = torch.stack(
        [checkpoint(_gathered, logits, targets, use_reentrant=False) for logits, targets in pairs]
    )
    if "weights" in batch:
        logps_BK = logps_BK * batch["weights"][:, 1:][:, kept_K]
    tokens_B = (targets_BK != IGNORED).sum(1)
    return Answers(logps_BK.sum(1), tokens_B.clamp(min=1))


def _gathered(logits: Any, targets: Any) -> Any:
    """(K,) float32 log-probabilities of targets (K,) in logits (K, V), 0 for ignored ones."""
    import torch

    return -torch.nn.functional.cross_entropy(
        logits.float(), targets, ignore_index=IGNORED, reduction="none"
    )


def halves(found: Answers) -> tuple[Answers, Answers]:
    """(chosen, rejected) of a batch whose first half was chosen."""
    total, tokens = found.total.chunk(2), found.tokens.chunk(2)
    return Answers(total[0], tokens[0]), Answers(total[1], tokens[1])


@contextmanager
def adapters_off(policy: Any) -> Iterator[Any]:
    """The reference model of an adapter that changes nothing at its start: the base itself."""
    with policy.disable_adapter():
        yield policy


def frozen(network: Any) -> Reference:
    """A reference model of its own."""
    network = network.requires_grad_(False).train()  # `still` says what that leaves out

    @contextmanager
    def refer(policy: Any) -> Iterator[Any]:
        yield network

    return refer


@contextmanager
def still(network: Any) -> Iterator[Any]:
    """The network without dropout and without NEFTune's noise on its embeddings.

    Nothing else leaves training mode: attention that is another one in training has to be the same
    in both models that are compared.
    """
    import torch

    noisy = [
        module
        for module in network.modules()
        if module.training and isinstance(module, torch.nn.Dropout | torch.nn.Embedding)
    ]
    for module in noisy:
        module.training = False
    yield network
    for module in noisy:
        module.training = True


class PairCollator:
    """Rows to a padded batch: the first answers of all rows, then their second ones."""

    def __init__(self, pad: int, prepare: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.pad = pad
        self._prepare = prepare

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Tensors `input_ids`, `attention_mask` and `labels` of shape (B, T).

        `rows` of shape (N,) stands first: it is by the first tensor that trainers count rows.
        `counts` (N,), where there is one, is 0 for a row that counts nothing.
        """
        import torch

        second = "rejected_ids" in rows[0]
        ids = [row["input_ids"] for row in rows]
        labels = [row["labels"] for row in rows]
        if second:
            ids += [row["rejected_ids"] for row in rows]
            labels += [row["rejected_labels"] for row in rows]
        width = max(map(len, ids))

        def padded(values: Sequence[Sequence[int]], fill: int) -> Any:
            return torch.tensor([list(each) + [fill] * (width - len(each)) for each in values])

        batch = {
            "rows": torch.arange(len(rows)),
            "input_ids": padded(ids, self.pad),
            "attention_mask": padded([[1] * len(each) for each in ids], 0),
            "labels": padded(labels, IGNORED),
        }
        if any("blank" in row for row in rows):
            batch["counts"] = torch.tensor([float("blank" not in row) for row in rows])
        if "liked" in rows[0]:
            batch["liked"] = torch.tensor([row["liked"] for row in rows])
        if self._prepare is not None:
            self._prepare(batch)
        return batch


def columns(row: EncodedRow) -> dict[str, Any]:
    """A row as the collator takes it."""
    found: dict[str, Any] = {"input_ids": list(row.input_ids), "labels": list(row.labels)}
    if row.rejected is not None:
        found["rejected_ids"] = list(row.rejected.input_ids)
        found["rejected_labels"] = list(row.rejected.labels)
    if row.liked is not None:
        found["liked"] = row.liked
    return found
