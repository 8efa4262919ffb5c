"""Learning from rewards: in each step the policy writes answers, and learns from their scores.

One base is policy, value model, reference and, with an adapter of its own, reward model: adapters
are switched, never copied (LLaMA-Factory paper, section 4.3). What has to be known of a model that
does not learn is computed before the first forward pass that is learned from, so that no switch
falls between a forward pass and its backward pass, which would leave it without gradients.

A step is one set of answers. It is learned from `epochs` times in `minibatches` updates, the last
of which is the trainer's own; the learning rate and the checkpoints count steps. So a checkpoint
holds no answers, and a resumed run writes those that the whole one would have written.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from torch.utils.data import IterableDataset
from transformers import Trainer, TrainerCallback

from adapters.answers import Reference, still
from adapters.models.value_head import HEAD, attach_head, load_head, save_head
from adapters.policy_pass import policy_pass
from adapters.rewards import REWARD_ADAPTER, Scored
from adapters.rl_math import adapted_kl_weight
from adapters.rollouts import (
    Answer,
    AnswerWriter,
    Rollouts,
    chance,
    prompt_columns,
    tensors_of,
)
from domain.prepared import EncodedStream
from domain.prompted import Prompted

HEAD_FILE = "ppo_value_head.safetensors"
"""Where the value head of a policy is kept; a reward model's has another name."""
STATE_FILE = "rollouts.json"
"""Where a checkpoint keeps the weight of the KL penalty."""


class Learning(Protocol):
    """What tells one algorithm from another."""

    @property
    def has_values(self) -> bool:
        """Whether a value head learns."""

    def credit(self, found: Rollouts, kl_weight: float) -> Rollouts:
        """The answers with their advantages, and returns where values are learned."""

    def loss(
        self, part: Rollouts, logps: Any, values: Any, whole: Mapping[str, float]
    ) -> tuple[Any, Mapping[str, Any]]:
        """(the part of an update's loss that some of its answers make, figures of them).

        `whole` counts answers, tokens and most_tokens of the whole update.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How answers are written and how often they are learned from."""

    writer: AnswerWriter
    generations: int
    """Answers to each prompt."""
    epochs: int
    """Passes over a step's answers."""
    minibatches: int
    """Updates in a pass."""
    pass_prompts: int
    """Prompts whose answers go through the network at once."""
    kl_weight: float
    """Weight of the KL penalty at the start."""
    kl_target: float | None
    """Divergence of an answer, in nats, that an adaptive weight steers for."""


class RolloutTrainer(Trainer):  # type: ignore[misc]
    """transformers' Trainer whose steps write answers and learn from them."""

    def __init__(
        self,
        *,
        learning: Learning,
        plan: Plan,
        score: Callable[[Sequence[Answer]], Scored],
        reference: Reference | None,
        pad: int,
        **arguments: Any,
    ) -> None:
        callbacks = [StateLoader(self), WriterCloser(plan.writer), *arguments.pop("callbacks")]
        if learning.has_values:
            attach_head(arguments["model"])
        super().__init__(callbacks=callbacks, **arguments)
        self.kl_weight = plan.kl_weight
        self._learning, self._plan, self._score = learning, plan, score
        self._reference, self._pad = reference, pad
        self._figures: dict[str, list[float]] = {}

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Any:
        """Write, score, and update; the gradients of the last update are left to the trainer."""
        network = self.accelerator.unwrap_model(model)
        model.train()
        self.optimizer.train()
        prompts = [(row["asked"], row["input_ids"]) for row in inputs["prompts"]]
        found = self._collect(network, prompts, str(self.state.global_step), "")
        inputs |= {"input_ids": found.ids, "attention_mask": found.attended}
        updates = list(self._updates(len(found.scores), found.ids.device))
        loss = found.scores.new_zeros(())
        for number, chosen in enumerate(updates, 1):
            loss += self._backward(network, found.part(chosen))
            if number < len(updates):
                if self.args.max_grad_norm > 0:
                    self.accelerator.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
                self.optimizer.step()
                model.zero_grad()
        if self._plan.kl_target is not None:
            kl = float(found.kl.mean())
            self.kl_weight = adapted_kl_weight(self.kl_weight, kl, self._plan.kl_target)
        return loss / len(updates)

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> tuple[Any, None, None]:
        """Answers to held-out prompts, drawn alike at every evaluation; their loss is minus what
        they are worth."""
        network = self.accelerator.unwrap_model(model)
        prompts = [(row["asked"], row["input_ids"]) for row in inputs["prompts"]]
        found = self._collect(network, prompts, "held out", "eval_")
        return -found.scores.mean(), None, None

    def _updates(self, answers: int, device: Any) -> Iterator[Any]:
        """Which answers each update learns from; every pass shuffles them anew."""
        import torch

        for epoch in range(self._plan.epochs):
            order = torch.arange(answers)
            if self._plan.minibatches > 1:
                seed = chance(self.args.seed, self.state.global_step, "order", epoch)
                order = torch.randperm(answers, generator=torch.Generator().manual_seed(seed))
            yield from (each.to(device) for each in order.tensor_split(self._plan.minibatches))

    def _backward(self, network: Any, update: Rollouts) -> Any:
        """Gradients of one update, pass by pass; its loss comes back."""
        whole = {
            "answers": float(len(update.scores)),
            "tokens": float(update.answer.sum()),
            "most_tokens": float(self._plan.writer.max_new_tokens),
        }
        total = update.scores.new_zeros(())
        for numbers in self._passes(len(update.scores)):
            part = update.part(numbers)
            with self.accelerator.autocast():
                logps, values, _ = self._run(network, part)
            loss, figures = self._learning.loss(part, logps, values, whole)
            self.accelerator.backward(loss)
            total += loss.detach()
            self._note("", figures)
        return total

    def _run(self, network: Any, part: Rollouts) -> tuple[Any, Any, Any]:
        head = network.get_submodule(HEAD) if self._learning.has_values else None
        return policy_pass(network, part, self._plan.writer.temperature, head)

    def _passes(self, answers: int) -> list[slice]:
        size = self._plan.pass_prompts * self._plan.generations
        return [slice(at, at + size) for at in range(0, answers, size)]

    def _collect(
        self,
        network: Any,
        prompts: Sequence[tuple[Prompted, Sequence[int]]],
        when: str,
        mark: str,
    ) -> Rollouts:
        """Answers to prompts, with all that is known of them before they are learned from."""
        import torch

        asked = [each for each in prompts for _ in range(self._plan.generations)]
        answers: list[Answer] = []
        for chosen in self._passes(len(asked)):
            some = asked[chosen]
            seeds = [
                chance(self.args.seed, when, n % self._plan.generations, ids)
                if mark  # held-out prompts come in batches, which must not matter
                else chance(self.args.seed, when, n)
                for n, (_, ids) in enumerate(some, chosen.start)
            ]
            with self.accelerator.autocast():
                answers += self._plan.writer.write(network, some, seeds)
        with torch.no_grad(), self.accelerator.autocast(), still(network):
            scored = self._score(answers)
        ids, attended, answer = tensors_of(answers, self._pad, network.device)
        scores = torch.tensor(scored.total, device=network.device)
        found = Rollouts(ids=ids, attended=attended, answer=answer, scores=scores)
        found, entropy = self._known(network, found)
        self._note(mark, _figures(answers, scored, found, entropy))
        return self._learning.credit(found, self.kl_weight)

    def _known(self, network: Any, found: Rollouts) -> tuple[Rollouts, Any]:
        """(answers with log-probabilities and values as they were written, entropy of tokens)."""
        import torch

        rows: list[list[Any]] = [[], [], [], []]
        for numbers in self._passes(len(found.scores)):
            part = found.part(numbers)
            with torch.no_grad(), self.accelerator.autocast():
                with still(network):
                    logps, values, entropy = self._run(network, part)
                reference = self._referred(network, part)
            for kept, value in zip(rows, (logps, values, entropy, reference), strict=True):
                if value is not None:
                    missing = found.answer.shape[1] - value.shape[1]
                    kept.append(torch.nn.functional.pad(value, (0, missing)))
        old, values, entropy, reference = (torch.cat(each) if each else None for each in rows)
        return replace(found, old=old, values=values, reference=reference), entropy

    def _referred(self, network: Any, part: Rollouts) -> Any:
        if self._reference is None:
            return None
        with self._reference(network) as other, still(other):
            return policy_pass(other, part, self._plan.writer.temperature, None)[0]

    def _note(self, mark: str, figures: Mapping[str, Any]) -> None:
        for name, value in figures.items():
            self._figures.setdefault(mark + name, []).append(float(value))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the means of the figures since the last log of the same kind."""
        kind = "eval_" if "eval_loss" in logs else ""
        for name in [name for name in self._figures if name.startswith("eval_") is bool(kind)]:
            logs[name] = fmean(self._figures.pop(name))
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The policy alone: its value head goes into a file beside it, a reward model stays out."""
        import shutil

        folder = Path(output_dir or self.args.output_dir)
        network = self.accelerator.unwrap_model(self.model)
        if not self._learning.has_values:
            super().save_model(str(folder), _internal_call)
        else:
            head = network.get_submodule(HEAD)
            delattr(network, HEAD)
            super().save_model(str(folder), _internal_call)
            network.add_module(HEAD, head)
            save_head(network, folder, HEAD_FILE)
        shutil.rmtree(folder / REWARD_ADAPTER, ignore_errors=True)
        if _internal_call:  # a checkpoint
            (folder / STATE_FILE).write_text(json.dumps({"kl_weight": self.kl_weight}))


def _figures(
    answers: Sequence[Answer], scored: Scored, found: Rollouts, entropy: Any
) -> dict[str, float]:
    """What people watch of a step's answers."""
    scores = found.scores
    figures = {
        "rewards/mean": float(scores.mean()),
        "rewards/std": float(scores.std(correction=0)),
        **{f"rewards/{name}": fmean(values) for name, values in scored.parts.items()},
        "rollouts/tokens": fmean(len(each.tokens) for each in answers),
        "rollouts/ended": fmean(each.ended for each in answers),
        "rollouts/entropy": float(entropy[found.answer].mean()),
    }
    return figures if found.reference is None else {**figures, "kl": float(found.kl.mean())}


class PromptStream(IterableDataset):  # type: ignore[misc]
    """Prompts as they are read."""

    def __init__(self, stream: EncodedStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (prompt_columns(row) for rows in self._stream for row in rows)


class StateLoader(TrainerCallback):  # type: ignore[misc]
    """Gives a resumed run the value head and the KL weight of its checkpoint."""

    def __init__(self, trainer: RolloutTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
    ) -> None:
        """A run that starts at step 0 keeps what it has."""
        if not state.global_step:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self._trainer.kl_weight = json.loads((folder / STATE_FILE).read_text())["kl_weight"]
        if (folder / HEAD_FILE).is_file():
            load_head(model, folder, HEAD_FILE)


class WriterCloser(TrainerCallback):  # type: ignore[misc]
    """Ends what writes answers when nothing is left to learn."""

    def __init__(self, writer: AnswerWriter) -> None:
        self._writer = writer

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The last step and its evaluation are through."""
        self._writer.close()
