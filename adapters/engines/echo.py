"""An engine that says the last message again, word by word: for tests and for trying doors.

Where there are tools, what it says in the format `hermes` is a call; it is held to no grammar.
"""

import re
from collections.abc import Generator, Sequence

from adapters.generation.tool_calls import ToolCallSplit, offered_names
from adapters.tool_formats.hermes import FORMAT
from domain.errors import fail
from domain.hardware import Hardware
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, ServedModel, TextDelta


class Engine:
    """Implements InferenceBackend and AdapterHost without a model; a word counts as a token."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        self._resolved = resolved
        self._hot: dict[str, ServedModel] = {}

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, its base where it has an adapter, and what was added since."""
        return [*self._resolved.served(), *self._hot.values()]

    def add_model(self, model: ResolvedModel) -> None:
        """Answer to one more name."""
        self._hot[model.label] = model.served()[0]

    def remove_model(self, name: str) -> None:
        """Answer to it no more."""
        del self._hot[name]

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """The last message, up to `max_tokens` words or a stop text."""
        names = [model.name for model in self.models()]
        if request.model not in names:
            raise fail("model-not-served", name=request.model, names=", ".join(names))
        return self._words(request)

    def _words(self, request: GenerationRequest) -> Generator[TextDelta]:
        prompt, text = _asked(request)
        if request.echo:
            yield TextDelta(text=text)
        cuts = [text.find(stop) for stop in request.sampling.stop if stop and stop in text]
        text = text[: min(cuts)] if cuts else text
        words = re.findall(r"\s*\S+|\s+$", text)
        limit = request.sampling.max_tokens
        kept = words if limit is None else words[:limit]
        last = TextDelta(
            text="",
            finish_reason="stop" if len(kept) == len(words) else "length",
            prompt_tokens=prompt,
            completion_tokens=len(kept),
        )
        said = (*(TextDelta(text=word) for word in kept), last)
        if not request.conversation.tools:
            yield from said
            return
        parallel = request.tool_use.parallel
        calls = ToolCallSplit(FORMAT, offered_names(request), parallel=parallel)
        yield from (calls.apart(delta) for delta in said)

    def close(self) -> None:
        """Nothing to release."""


def _asked(request: GenerationRequest) -> tuple[int, str]:
    """(words of the prompt, what is said again)."""
    if request.prompt is not None:
        given = request.prompt
        text = given if isinstance(given, str) else " ".join(map(str, given))
        return len(text.split()), text
    messages = request.conversation.messages
    return sum(len(message.content.split()) for message in messages), messages[-1].content
