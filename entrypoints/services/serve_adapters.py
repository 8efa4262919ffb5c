"""Serve fine-tuned models beside what an engine holds: each is loaded when it is first asked.

The least recently used one goes where there is no place left; one that is answering never does.
"""

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol, runtime_checkable

from domain.errors import fail
from domain.fine_tuning import parsed_name
from domain.sampling import GenerationRequest, ServedModel, TextDelta
from entrypoints.services.fine_tuned_models import FineTunedModels
from ports.inference import AdapterHost, InferenceBackend, Supervised
from ports.meter import Meter
from ports.tokens import Embedder, TextTokens

PLACES = 8
"""Adapters loaded at once, where nothing else is said."""


class ServeAdapters:
    """Implements ports.inference.InferenceBackend over an engine; counts what it generates."""

    def __init__(
        self, engine: InferenceBackend, tuned: FineTunedModels, meter: Meter, places: int
    ) -> None:
        self.engine = engine
        self._tuned = tuned
        self._meter = meter
        self._places = places
        self._fixed = {model.name: model for model in engine.models()}
        self._in_use: OrderedDict[str, int] = OrderedDict()
        """Loaded names, least recently used first, each with the answers it is giving."""
        self._state = threading.Lock()
        self._loading = threading.Lock()

    @property
    def base(self) -> str:
        """The model underneath."""
        return next(iter(self._fixed.values())).base

    def models(self) -> Sequence[ServedModel]:
        """What the engine was started with, then every finished adapter over its base."""
        return [*self._fixed.values(), *self._tuned.over(self.base)]

    def check(self) -> None:
        """Raises HextuneError while the engine cannot answer."""
        if isinstance(self.engine, Supervised):
            self.engine.check()

    def check_model(self, name: str) -> None:
        """Raises HextuneError where a model is not answered, or cannot be."""
        if self.is_fixed(name):
            return
        if parsed_name(name) is None:
            raise fail("model-not-served", name=name, names=", ".join(self._fixed))
        self._tuned.resolve(name, self.base)

    def is_fixed(self, name: str) -> bool:
        """Whether the engine was started with a model."""
        return name in self._fixed

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer, by an adapter that is loaded first where it is not yet."""
        with self.held(request.model):
            self._meter.generating(1)
            try:
                with closing(self.engine.generate(request)) as answer:
                    for delta in answer:
                        if delta.finish_reason:
                            self._meter.generated(delta.prompt_tokens, delta.completion_tokens)
                        yield delta
            finally:
                self._meter.generating(-1)

    def forget(self, name: str) -> None:
        """Unload a model, unless it is answering; then it goes when its place is needed."""
        with self._loading:
            self._unload(name)

    def close(self) -> None:
        """Release the engine."""
        self.engine.close()

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """While the block runs, the model is loaded. Raises HextuneError where it cannot be."""
        if name in self._fixed or parsed_name(name) is None:
            # a name nobody knows is the engine's to refuse
            yield
            return
        self._hold(name)
        try:
            yield
        finally:
            with self._state:
                self._in_use[name] -= 1

    def _hold(self, name: str) -> None:
        model = self._tuned.resolve(name, self.base)
        if self._counted(name):
            return
        with self._loading:
            if self._counted(name):
                return
            if not isinstance(self.engine, AdapterHost):
                raise fail("model-fixed-engine", name=name, run=self._tuned.run_of(name))
            self._make_room()
            self.engine.add_model(model)
            with self._state:
                self._in_use[name] = 1

    def _counted(self, name: str) -> bool:
        """Whether it is loaded; then one more answer is counted."""
        with self._state:
            if name not in self._in_use:
                return False
            self._in_use[name] += 1
            self._in_use.move_to_end(name)
            return True

    def _make_room(self) -> None:
        if len(self._in_use) >= self._places and not self._unload():
            raise fail("model-places-taken", count=self._places)

    def _unload(self, wanted: str | None = None) -> bool:
        """Whether an idle model was unloaded: the one wanted, or the least recently used."""
        with self._state:
            idle = [
                name
                for name, users in self._in_use.items()
                if users == 0 and wanted in (None, name)
            ]
            if not idle:
                return False
            del self._in_use[idle[0]]
        assert isinstance(self.engine, AdapterHost)
        self.engine.remove_model(idle[0])
        return True


@runtime_checkable
class _TextEngine(InferenceBackend, TextTokens, Protocol):
    """Answers, and turns text into tokens."""


@runtime_checkable
class _EmbeddingEngine(_TextEngine, Embedder, Protocol):
    """Does that, and turns text into vectors."""


class ServeTextAdapters(ServeAdapters):
    """Implements ports.tokens.TextTokens too."""

    engine: _TextEngine

    def tokenize(self, model: str, prompt: str, special: bool) -> tuple[int, ...]:
        """The ids of a text."""
        with self.held(model):
            return self.engine.tokenize(model, prompt, special)

    def tokenize_conversation(self, request: GenerationRequest) -> tuple[int, ...]:
        """The ids a request begins with."""
        with self.held(request.model):
            return self.engine.tokenize_conversation(request)

    def detokenize(self, model: str, ids: Sequence[int]) -> str:
        """The text of ids."""
        with self.held(model):
            return self.engine.detokenize(model, ids)

    def context_tokens(self, model: str) -> int:
        """The longest prompt and answer together."""
        with self.held(model):
            return self.engine.context_tokens(model)


class ServeEmbeddingAdapters(ServeTextAdapters):
    """Implements ports.tokens.Embedder too."""

    engine: _EmbeddingEngine

    def embed(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        """One vector for the tokens of a text."""
        with self.held(model):
            return self.engine.embed(model, ids)


def serve_adapters(
    engine: InferenceBackend, tuned: FineTunedModels, meter: Meter, places: int = PLACES
) -> ServeAdapters:
    """Fine-tuned models over an engine; what it offers is what the engine does."""
    if isinstance(engine, _EmbeddingEngine):
        return ServeEmbeddingAdapters(engine, tuned, meter, places)
    kind = ServeTextAdapters if isinstance(engine, _TextEngine) else ServeAdapters
    return kind(engine, tuned, meter, places)
