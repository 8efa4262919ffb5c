"""Answers that the model writes while it learns: drawn from the policy, with what they were like.

Every answer has a source of chance of its own, made of the run's seed, the step and its number in
the step. So answers depend neither on how a step is split into passes nor on what drew before them,
and a resumed run draws the same ones. A token is drawn by adding Gumbel noise to the logits and
taking the largest (Gumbel 1954; Maddison et al. 2014), which is a draw from their softmax.

Shapes: S answers, T tokens of prompt and answer, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, Protocol

from domain.masking import EncodedRow
from domain.prompted import Prompted


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the policy."""

    asked: Prompted
    """The prompt and its reference."""
    prompt: Sequence[int]
    """Token ids of the prompt, with the opening of the answer."""
    tokens: Sequence[int]
    """Token ids of the answer, with the one that ends it."""
    ended: bool
    """Whether it came to its end before the limit."""
    text: str
    """What it says, without special tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """Tensors of S answers; those of shape (S, T - 1) hold position t's prediction of token t+1."""

    ids: Any
    """(S, T) prompt and answer, padded on the right."""
    attended: Any
    """(S, T) which of them are no padding."""
    answer: Any
    """(S, T - 1) where a token of the answer is predicted."""
    scores: Any
    """(S,) what the answers are worth."""
    old: Any = None
    """(S, T - 1) the policy's log-probabilities when it wrote them."""
    reference: Any = None
    """(S, T - 1) the reference model's, where there is one."""
    values: Any = None
    """(S, T - 1) the value head's, where there is one."""
    advantages: Any = None
    """(S, T - 1) how much better than expected a token was."""
    returns: Any = None
    """(S, T - 1) what the value head should have said."""

    def part(self, numbers: Any) -> "Rollouts":
        """Some of the answers, no wider than the longest of them."""
        width = int(self.attended[numbers].sum(1).max())

        def cut(value: Any) -> Any:
            if value is None or value.ndim == 1:
                return value if value is None else value[numbers]
            return value[numbers][:, : width - (self.ids.shape[1] - value.shape[1])]

        return replace(self, **{f.name: cut(getattr(self, f.name)) for f in fields(self)})

    @property
    def kl(self) -> Any:
        """(S,) KL divergence of each answer from the reference, in nats (its k1 estimate)."""
        return ((self.old - self.reference) * self.answer).sum(1)


def prompt_columns(row: EncodedRow) -> dict[str, Any]:
    """A row as the collator takes it."""
    return {"asked": row.asked, "input_ids": list(row.input_ids)}


class PromptCollator:
    """Rows of prompts to a batch: tensors that count them, and the rows as they are."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """`rows` of shape (N,) stands first: it is by the first tensor that trainers count rows."""
        import torch

        return {"rows": torch.arange(len(rows)), "prompts": list(rows)}


class _Draws:
    """A transformers logits processor: with it, the largest logit is a draw."""

    def __init__(self, seeds: Sequence[int], temperature: float, device: Any) -> None:
        import torch

        self._sources = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """(S, V) logits with noise."""
        import torch

        noisy = scores.float() / self._temperature
        for row, source in zip(noisy, self._sources, strict=True):
            waits = torch.empty_like(row).exponential_(generator=source)
            row -= waits.log()
        return noisy


def chance(*parts: object) -> int:
    """A seed made of what it is for."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:7])


class AnswerWriter(Protocol):
    """What writes the answers of a policy as it is now."""

    @property
    def max_new_tokens(self) -> int:
        """The most tokens of an answer."""

    @property
    def temperature(self) -> float:
        """What logits are divided by."""

    def write(
        self, network: Any, prompts: Sequence[tuple[Prompted, Sequence[int]]], seeds: Sequence[int]
    ) -> list[Answer]:
        """One answer to each prompt, drawn with the seed of the same place."""

    def close(self) -> None:
        """Let go of what is kept; it may be asked to write again."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes answers with a network as it is now."""

    tokenizer: Any
    max_new_tokens: int
    temperature: float

    def write(
        self, network: Any, prompts: Sequence[tuple[Prompted, Sequence[int]]], seeds: Sequence[int]
    ) -> list[Answer]:
        """One answer to each prompt, in one batch."""
        import torch

        ends = end_tokens(network, self.tokenizer)
        width = max(len(ids) for _, ids in prompts)
        rows = [[ends[0]] * (width - len(ids)) + list(ids) for _, ids in prompts]
        mask = [[0] * (width - len(ids)) + [1] * len(ids) for _, ids in prompts]
        place = network.device
        with torch.no_grad(), _at_rest(network):
            written = network.generate(
                input_ids=torch.tensor(rows, device=place),
                attention_mask=torch.tensor(mask, device=place),
                generation_config=self._config(ends),
                logits_processor=[_Draws(seeds, self.temperature, place)],
            )
        answers = written[:, width:].tolist()
        return [
            answer_of(self.tokenizer, asked, ids, tokens, ends)
            for (asked, ids), tokens in zip(prompts, answers, strict=True)
        ]

    def _config(self, ends: Sequence[int]) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=list(ends),
            pad_token_id=ends[0],
        )

    def close(self) -> None:
        """Nothing is kept beside the network."""


def answer_of(
    tokenizer: Any,
    asked: Prompted,
    prompt: Sequence[int],
    tokens: Sequence[int],
    ends: Sequence[int],
) -> Answer:
    """An answer up to the first token that ends it."""
    first = next((n for n, token in enumerate(tokens) if token in ends), None)
    kept = tokens if first is None else tokens[: first + 1]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Answer(asked, prompt, kept, first is not None, text)


def end_tokens(network: Any, tokenizer: Any) -> list[int]:
    """Tokens that end an answer, by the generation config and the tokenizer."""
    configured = network.generation_config.eos_token_id
    found = configured if isinstance(configured, list) else [configured]
    return sorted({end for end in (*found, tokenizer.eos_token_id) if end is not None})


@contextmanager
def _at_rest(network: Any) -> Iterator[None]:
    """Evaluation mode, and none of the model's own habits of generation such as penalties."""
    from transformers import GenerationConfig

    habits = network.generation_config
    network.generation_config = GenerationConfig()
    network.eval()
    yield
    network.train()
    network.generation_config = habits


def tensors_of(answers: Sequence[Answer], pad: int, device: Any) -> tuple[Any, Any, Any]:
    """(ids, attended, where answers are predicted) as in `Rollouts`."""
    import torch

    width = max(len(each.prompt) + len(each.tokens) for each in answers)
    ids = torch.full((len(answers), width), pad)
    attended, answer = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for row, each in enumerate(answers):
        start, end = len(each.prompt), len(each.prompt) + len(each.tokens)
        ids[row, :end] = torch.tensor([*each.prompt, *each.tokens])
        attended[row, :end] = 1
        answer[row, start:end] = True
    return ids.to(device), attended.to(device), answer[:, 1:].to(device)
