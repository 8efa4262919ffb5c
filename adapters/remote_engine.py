"""A served model as an engine: any OpenAI-compatible server, over HTTP."""

import os
from collections.abc import Generator, Sequence

from adapters.completion_stream import (
    TIMEOUT_S,
    CompletionStream,
    chat_body,
    chat_delta,
    completion_body,
    completion_delta,
)
from domain.errors import fail
from domain.sampling import GenerationRequest, ServedModel, TextDelta


class RemoteEngine:
    """Implements ports.inference.InferenceBackend."""

    def __init__(self, url: str, model: str, key: str | None) -> None:
        import httpx

        self._model = model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=None)
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S, limits=limits)
        self._stream = CompletionStream(self._client, url.rstrip("/"))

    def models(self) -> Sequence[ServedModel]:
        """The one model that is asked."""
        return [ServedModel(name=self._model, base=self._model, adapter=None, created_at=0.0)]

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer. Raises HextuneError where the server gives none."""
        if request.model != self._model:
            raise fail("model-not-served", name=request.model, names=self._model)
        if request.prompt is None:
            return self._stream.deltas("/chat/completions", chat_body(request), chat_delta)
        limit = request.sampling.max_tokens
        if limit is None:
            reason = "a remote server's context is not known, so say how many"
            raise fail("request-bad-field", field="max_tokens", reason=reason)
        body = completion_body(request, request.prompt, limit)
        read = completion_delta(request.sampling.logprobs or 0)
        return self._stream.deltas("/completions", body, read)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def open_remote(url: str, model: str) -> RemoteEngine:
    """An engine that asks the server at `url`, with the key of OPENAI_API_KEY where that is set."""
    return RemoteEngine(url, model, os.environ.get("OPENAI_API_KEY"))
