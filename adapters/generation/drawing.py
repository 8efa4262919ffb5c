"""The next token of one answer out of its logits, and what the model thought of it.

In order: bias, penalties (https://platform.openai.com/docs/api-reference/chat: the logit less
`count * frequency_penalty + (count > 0) * presence_penalty`, over the answer's tokens), grammar,
temperature, top_p (Holtzman et al. 2020, eq. 4). Log-probabilities are the model's own, before all
of these. Each answer has a random generator of its own, so that no other answer moves it.

Shapes: V tokens of the vocabulary.
"""

from typing import Any, Protocol

import torch

from adapters.generation.drawn import Drawn
from domain.sampling import Sampling

COLD = 1e-5
"""A temperature below this takes the likeliest token, before logits overflow."""
LIKELY = 512
"""Tokens that are sorted first for top_p; the whole vocabulary only where they are not enough."""


class TokenGrammar(Protocol):
    """Which tokens may come next."""

    def forbid(self, logits: Any) -> None:
        """Set what may not come to minus infinity, in place."""

    def take(self, token: int) -> None:
        """Go on after `token`."""


class Drawing:
    """Draws the tokens of one answer."""

    def __init__(self, sampling: Sampling, grammar: TokenGrammar | None, device: str) -> None:
        self._sampling = sampling
        self._grammar = grammar
        self._device = device
        self._counts: dict[int, int] = {}
        self._generator = torch.Generator(device=device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is all that is asked for."""
        asked = self._sampling
        return (
            asked.temperature < COLD
            and asked.logprobs is None
            and not (asked.frequency_penalty or asked.presence_penalty or asked.logit_bias)
            and self._grammar is None
        )

    def draw(self, logits: Any) -> Drawn:
        """The next token."""
        logits = logits.float()
        wanted = self._wanted(logits)
        token = self._token(wanted)
        self._counts[token] = self._counts.get(token, 0) + 1
        if self._grammar is not None:
            self._grammar.take(token)
        if self._sampling.logprobs is None:
            return Drawn(token)
        return scored(logits.log_softmax(-1), token, self._sampling.logprobs)

    def _wanted(self, logits: Any) -> Any:
        """Logits with bias, penalties and grammar."""
        asked = self._sampling
        changes = dict(asked.logit_bias)
        if asked.frequency_penalty or asked.presence_penalty:
            for token, count in self._counts.items():
                penalty = count * asked.frequency_penalty + asked.presence_penalty
                changes[token] = changes.get(token, 0.0) - penalty
        if not changes and self._grammar is None:
            return logits
        wanted = logits.clone()
        if changes:
            wanted[list(changes)] += torch.tensor(list(changes.values()), device=self._device)
        if self._grammar is not None:
            self._grammar.forbid(wanted)
        return wanted

    def _token(self, logits: Any) -> int:
        asked = self._sampling
        if asked.temperature < COLD:
            return int(logits.argmax())
        probs = (logits / asked.temperature).softmax(-1)
        if asked.top_p >= 1:
            return int(torch.multinomial(probs, 1, generator=self._generator))
        kept, tokens = _nucleus(probs, asked.top_p)
        return int(tokens[torch.multinomial(kept, 1, generator=self._generator)])


def scored(logps: Any, token: int, alternatives: int) -> Drawn:
    """`token` with its log-probability and those of the likeliest tokens."""
    best = logps.topk(alternatives) if alternatives else None
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best else ()
    return Drawn(token, float(logps[token]), tuple(pairs))


def _nucleus(every: Any, share: float) -> tuple[Any, Any]:
    """(probabilities, tokens) of the smallest set with this share of the probability."""
    probs, tokens = every.topk(min(LIKELY, len(every)))
    if probs.sum() < share:
        probs, tokens = every.sort(descending=True)
    before = probs.cumsum(-1) - probs
    kept = int((before < share).sum())
    return probs[:kept], tokens[:kept]
