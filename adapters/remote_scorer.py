"""Log-likelihoods of a served model: completions with echo and logprobs, over HTTP.

`POST /v1/completions` with `echo`, `logprobs` and `max_tokens: 0` gives each token of the prompt
with its log-probability (OpenAI's API reference, "Create completion"); vLLM answers it too. A
continuation's tokens are those that are left when the text before it is cut into tokens alone,
as the scorer in `adapters/scorers/transformers.py` counts them: offsets in characters are of no
use where tokens are parts of a character or stand for none.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from adapters.remote_engine import open_remote
from domain.errors import HextuneError, fail
from domain.sampling import GenerationRequest, Sampling, ServedModel
from domain.scoring import ScoredGroup, ScoredItem, ScoredTokens
from ports.inference import InferenceBackend

PARALLEL = 8
"""Items that are asked at once, so that servers can batch them."""
TOO_LONG = ("request-too-long", "more than the context", "context_length", "context length")
"""What servers say of a prompt that does not fit."""
SCORED = Sampling(temperature=0.0, max_tokens=0, logprobs=1)
"""Nothing is generated; the prompt comes back with its log-probabilities."""


class RemoteScorer:
    """Implements ports.scorer.Scorer over an engine that echoes prompts, such as a server."""

    def __init__(self, engine: InferenceBackend, url: str) -> None:
        self._engine = engine
        self._url = url

    def models(self) -> Sequence[ServedModel]:
        """What the engine answers as."""
        return self._engine.models()

    def score(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        """Items in their order, several on their way at once. Raises HextuneError."""
        self._check(model)
        return self._scores(group, model)

    def score_tokens(self, rows: Sequence[ScoredTokens], model: str) -> Iterator[tuple[int, float]]:
        """Rows as prompts of token ids."""
        self._check(model)
        for number, row in enumerate(rows):
            pairs = zip(self._logps(row.ids, model), row.counted, strict=True)
            yield number, sum(logp for logp, counted in pairs if counted)

    def close(self) -> None:
        """Hang up."""
        self._engine.close()

    def _check(self, model: str) -> None:
        names = [each.name for each in self.models()]
        if model not in names:
            raise fail("model-not-served", name=model, names=", ".join(names))

    def _scores(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        with ThreadPoolExecutor(PARALLEL) as pool:
            yield from enumerate(
                pool.map(
                    lambda item: self._item(group.prefix + item.text, item, model), group.items
                )
            )

    def _item(self, before: str, item: ScoredItem, model: str) -> tuple[float, ...] | None:
        """None where the server says that the item is too long."""
        context = before.rstrip(" ")
        if not context:
            raise self._silent("a text with nothing before it has no first log-probability")
        try:
            known = len(self._logps(context, model))
            whole = [self._logps(before + each, model) for each in item.continuations]
        except HextuneError as error:
            if any(said in str(error) for said in TOO_LONG):
                return None
            raise
        return tuple(sum(logps[known:]) for logps in whole)

    def _logps(self, prompt: str | tuple[int, ...], model: str) -> list[float]:
        """The log-probability of each token of a prompt; 0 for the first, which has none."""
        request = GenerationRequest(model=model, prompt=prompt, echo=True, sampling=SCORED)
        told = [token for delta in self._engine.generate(request) for token in delta.logprobs]
        if not told:
            raise self._silent("its answer has no logprobs")
        return [token.logprob or 0.0 for token in told]

    def _silent(self, reason: str) -> HextuneError:
        return fail("server-no-likelihoods", url=self._url, reason=reason)


def open_remote_scorer(url: str, model: str) -> RemoteScorer:
    """A scorer that asks the server at `url`, with the key of OPENAI_API_KEY where that is set."""
    return RemoteScorer(open_remote(url, model), url)
