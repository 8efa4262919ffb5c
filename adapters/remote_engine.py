"""A served model as an engine: chat completions of any OpenAI-compatible server, over HTTP."""

import os
from collections.abc import Generator, Sequence
from typing import Any

from domain.errors import fail
from domain.sampling import GenerationRequest, ServedModel, TextDelta

TIMEOUT_S = 600.0
"""Longest wait for one answer; a large model on a slow machine takes minutes."""


class RemoteEngine:
    """Implements ports.inference.InferenceBackend; the answer comes in one piece."""

    def __init__(self, url: str, model: str, key: str | None) -> None:
        import httpx

        self._url = url.rstrip("/")
        self._model = model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S)

    def models(self) -> Sequence[ServedModel]:
        """The one model that is asked."""
        return [ServedModel(name=self._model, base=self._model, adapter=None, created_at=0.0)]

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """The whole answer. Raises HextuneError where the server gives none."""
        if request.model != self._model:
            raise fail("model-not-served", name=request.model, names=self._model)
        reply = self._reply(_body(request))
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            delta = TextDelta(
                text=choice["message"]["content"] or "",
                finish_reason="length" if choice["finish_reason"] == "length" else "stop",
                prompt_tokens=int(usage.get("prompt_tokens", 0)),
                completion_tokens=int(usage.get("completion_tokens", 0)),
            )
        except (LookupError, TypeError) as error:
            raise fail(
                "server-refused", url=self._url, reason=f"no answer in it: {error}"
            ) from None
        return (each for each in [delta])

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.post(f"{self._url}/chat/completions", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise fail("server-unreachable", url=self._url, reason=error) from None
        if response.is_error:
            reason = f"{response.status_code} {response.text[:200]}"
            raise fail("server-refused", url=self._url, reason=reason)
        try:
            reply: dict[str, Any] = response.json()
        except ValueError as error:
            raise fail("server-refused", url=self._url, reason=error) from None
        return reply


def _body(request: GenerationRequest) -> dict[str, Any]:
    sampling = request.sampling
    asked = {
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
    }
    return {
        "model": request.model,
        "messages": request.conversation.as_json(),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **{name: value for name, value in asked.items() if value is not None},
    }


def open_remote(url: str, model: str) -> RemoteEngine:
    """An engine that asks the server at `url`, with the key of OPENAI_API_KEY where that is set."""
    return RemoteEngine(url, model, os.environ.get("OPENAI_API_KEY"))
