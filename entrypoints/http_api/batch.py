"""One line of a batch file, answered as the HTTP door would; both are OpenAI's batch objects."""

import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from domain.errors import HextuneError, fail
from entrypoints.http_api.errors import error_body, status_of
from entrypoints.http_api.schema.chat import read_chat
from entrypoints.http_api.schema.completion_replies import Completions
from entrypoints.http_api.schema.completions import read_completion
from entrypoints.http_api.schema.replies import Choice, Heading, Reply, Usage
from entrypoints.http_api.schema.values import bad
from ports.inference import InferenceBackend
from ports.surroundings import Surroundings
from ports.texts import Translator

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDoor:
    """Answers lines of a batch with one engine."""

    engine: InferenceBackend
    translator: Translator
    surroundings: Surroundings
    language: str

    def answer(self, line: Mapping[str, object]) -> Reply:
        """The output object of one input object."""
        try:
            status, body = 200, self._body(line)
        except HextuneError as error:
            status = status_of(error)
            body = error_body(self.translator, self.language, error, status)
        return {
            "id": f"batch_req_{uuid.uuid4().hex}",
            "custom_id": line["custom_id"],
            "response": {"status_code": status, "request_id": uuid.uuid4().hex, "body": body},
            "error": None,
        }

    def _body(self, line: Mapping[str, object]) -> Reply:
        if line.get("method", "POST") != "POST" or line.get("url") not in (CHAT, COMPLETIONS):
            method, path = line.get("method", "POST"), line.get("url")
            raise fail("request-no-route", method=method, path=path)
        return self._chat(line) if line["url"] == CHAT else self._completion(line)

    def _chat(self, line: Mapping[str, object]) -> Reply:
        request = read_chat(line.get("body"))
        self._check_whole(request.stream)
        choices, usage = [Choice() for _ in request.generations], Usage()
        for choice, generation in zip(choices, request.generations, strict=True):
            with closing(self.engine.generate(generation)) as answer:
                for delta in answer:
                    choice.add(delta)
                    usage.add(delta)
        now = int(self.surroundings.now())
        heading = Heading(id=f"chatcmpl-{uuid.uuid4().hex}", created=now, model=request.model)
        return heading.completion(choices, usage, request.logprobs)

    def _completion(self, line: Mapping[str, object]) -> Reply:
        request = read_completion(line.get("body"))
        self._check_whole(request.stream)
        completions = Completions(
            id=f"cmpl-{uuid.uuid4().hex}",
            created=int(self.surroundings.now()),
            model=request.model,
            choices=request.choices,
            include_usage=False,
            told=request.generations[0].sampling.logprobs is not None,
        )
        for index, generation in enumerate(request.generations):
            with closing(self.engine.generate(generation)) as answer:
                for delta in answer:
                    completions.add(index, delta)
        return completions.reply()

    def _check_whole(self, stream: bool) -> None:
        if stream:
            raise HextuneError([bad("stream", "a batch gives whole answers")])
