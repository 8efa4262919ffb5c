"""What a model's tokenizer and template make of requests: prompts, ids, limits, and texts again."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from adapters.generation.reasoning import OPEN, ReasoningSplit
from adapters.generation.tool_calls import ToolTexts
from adapters.models.hf import tokenizer_of
from adapters.models.rendering import HfEncoder
from domain.errors import HextuneError, Place, fail
from domain.model_handle import ModelHandle
from domain.sampling import GenerationRequest


class ModelTexts:
    """The texts of one model."""

    def __init__(self, handle: ModelHandle) -> None:
        self._handle = handle
        self.tokenizer = tokenizer_of(handle)
        self._encoder = HfEncoder(self.tokenizer)
        self.tools = ToolTexts(self.tokenizer)
        self.context_tokens = handle.context_tokens
        self._lock = Lock()  # special tokens are text in messages: a state of the tokenizer

    def prompt(self, request: GenerationRequest) -> tuple[str, tuple[int, ...]]:
        """(text, ids) an answer goes on from. Raises HextuneError where there can be none."""
        if isinstance(request.prompt, str):
            return request.prompt, self.ids(request.prompt) or self._beginning()
        if request.prompt is not None:
            self.check_ids(request.prompt, "prompt")
            return self.text(request.prompt) if request.echo else "", request.prompt
        if not self._handle.has_chat_template:
            raise fail("model-not-chat", name=self._handle.name)
        said = request.conversation
        with self._lock:
            (found,) = self._encoder.encode_prompts([said])
        if isinstance(found, HextuneError):
            raise found
        return self._encoder.render(said.as_json(), said.tools_as_json(), ask=True), found.input_ids

    def limit(self, prompt: int, asked: int | None) -> int:
        """Tokens an answer may have. Raises HextuneError where the context is too short."""
        left = self.context_tokens - prompt
        needed = 1 if asked is None else asked
        if left < needed:
            context = self.context_tokens
            raise fail("request-too-long", prompt=prompt, asked=needed, context=context)
        return left if asked is None else asked

    def reasoning(self, request: GenerationRequest, text: str) -> ReasoningSplit | None:
        """What splits thoughts off the answer to `text`, where the template knows them.

        An answer that a grammar holds has none: it begins as the grammar says.
        """
        held = request.sampling.grammar is not None or request.tool_use.required
        if held or request.prompt is not None or OPEN not in str(self.tokenizer.chat_template):
            return None
        return ReasoningSplit(inside=text.rstrip().endswith(OPEN))

    def ids(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """A text's ids, with the tokenizer's own special tokens where `special`."""
        with self._lock:
            return tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def text(self, ids: Sequence[int], field: str = "tokens") -> str:
        """The text of ids, special tokens included."""
        self.check_ids(ids, field)
        shown: str = self.tokenizer.decode(list(ids))
        return shown

    def check_ids(self, ids: Sequence[int], field: str) -> None:
        """Raises HextuneError for an id beyond the vocabulary."""
        vocabulary = self._handle.vocabulary
        wrong = next((token for token in ids if not 0 <= token < vocabulary), None)
        if wrong is not None:
            reason = f"token {wrong} is not among the {vocabulary} of the vocabulary"
            raise fail("request-bad-field", Place(field=field), field=field, reason=reason)

    def _beginning(self) -> tuple[int, ...]:
        """What an empty text begins with, as something must be read."""
        known: tuple[Any, ...] = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        return tuple(token for token in known if token is not None)[:1]
