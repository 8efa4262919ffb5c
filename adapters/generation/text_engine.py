"""What engines that render prompts themselves share: names, and text to tokens and back."""

from collections.abc import Mapping, Sequence

from adapters.generation.texts import ModelTexts
from domain.errors import fail
from domain.sampling import GenerationRequest, ServedModel


class TextEngine:
    """Implements ports.tokens.TextTokens over one model's texts."""

    _texts: ModelTexts
    _served: Mapping[str, ServedModel]

    def tokenize(self, model: str, prompt: str, special: bool) -> tuple[int, ...]:
        """The ids of a text."""
        self._check(model)
        return self._texts.ids(prompt, special=special)

    def tokenize_conversation(self, request: GenerationRequest) -> tuple[int, ...]:
        """The ids a request begins with."""
        self._check(request.model)
        return self._texts.prompt(request)[1]

    def detokenize(self, model: str, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        self._check(model)
        return self._texts.text(ids)

    def context_tokens(self, model: str) -> int:
        """The longest prompt and answer together."""
        self._check(model)
        return self._texts.context_tokens

    def _check(self, model: str) -> None:
        if model not in self._served:
            raise fail("model-not-served", name=model, names=", ".join(self._served))
