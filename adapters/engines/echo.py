"""An engine that says the last message again, word by word: for tests and for trying doors."""

import re
from collections.abc import Generator, Sequence

from domain.errors import fail
from domain.hardware import Hardware
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, ServedModel, TextDelta


class Engine:
    """Implements ports.inference.InferenceBackend without a model; a word counts as a token."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        self._resolved = resolved

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, and its base where it has an adapter."""
        return self._resolved.served()

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """The last message, up to `max_tokens` words or a stop text."""
        names = [model.name for model in self.models()]
        if request.model not in names:
            raise fail("model-not-served", name=request.model, names=", ".join(names))
        return self._words(request)

    def _words(self, request: GenerationRequest) -> Generator[TextDelta]:
        prompt = sum(len(m.content.split()) for m in request.conversation.messages)
        text = request.conversation.messages[-1].content
        cuts = [text.find(stop) for stop in request.sampling.stop if stop and stop in text]
        text = text[: min(cuts)] if cuts else text
        words = re.findall(r"\s*\S+|\s+$", text)
        limit = request.sampling.max_tokens
        kept = words if limit is None else words[:limit]
        for word in kept:
            yield TextDelta(text=word)
        yield TextDelta(
            text="",
            finish_reason="stop" if len(kept) == len(words) else "length",
            prompt_tokens=prompt,
            completion_tokens=len(kept),
        )

    def close(self) -> None:
        """Nothing to release."""
