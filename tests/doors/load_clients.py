"""Clients that ask, ask badly and go away: a seeded mix of requests from many threads.

Each request ends as an `Outcome`; `clear` says whether its client learned what became of it.
"""

import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from entrypoints.http_api.body import LIMIT_BYTES

KEY = "load-key"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
PATIENCE_S = 60.0
"""Longest wait of a client for the next byte; no answer within it is a hung request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request."""

    kind: str
    status: int
    code: str = ""
    """Of the error, in the reply or at the stream's end."""
    retry_after: str = ""
    whole: bool = True
    """Whether the reply reached its end; a client that went away did not want it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One client: a connection pool of its own, and what it draws."""

    http: httpx.Client
    address: str
    model: str
    random: Random

    def body(self, **fields: Any) -> dict[str, Any]:
        """A valid request of a random length."""
        said = [{"role": "user", "content": "What is the capital? " * self.random.randint(1, 4)}]
        limit = self.random.randint(1, 16)
        return {"model": self.model, "messages": said, "max_completion_tokens": limit, **fields}

    def post(self, kind: str, content: bytes | dict[str, Any], key: str = KEY) -> Outcome:
        """Ask for a whole answer."""
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        url, headers = f"{self.address}/v1/chat/completions", {"authorization": f"Bearer {key}"}
        reply = self.http.post(url, content=sent, headers={**HEADERS, **headers})
        return ended(kind, reply, reply.json())


def ended(kind: str, reply: httpx.Response, value: dict[str, Any], whole: bool = True) -> Outcome:
    """The outcome of a reply."""
    return Outcome(
        kind=kind,
        status=reply.status_code,
        code=str(value.get("error", {}).get("code", "")),
        retry_after=reply.headers.get("retry-after", ""),
        whole=whole,
    )


def whole(asking: Asking) -> Outcome:
    """An ordinary request."""
    return asking.post("whole", asking.body())


def streamed(asking: Asking, after: int | None = None) -> Outcome:
    """A stream, read to its end or left after some events."""
    kind = "streamed" if after is None else "left"
    url, last = f"{asking.address}/v1/chat/completions", ""
    content = json.dumps(asking.body(stream=True)).encode()
    with asking.http.stream("POST", url, content=content, headers=HEADERS) as reply:
        if reply.is_error:
            return ended(kind, reply, json.loads(reply.read()))
        for number, line in enumerate(line for line in reply.iter_lines() if line):
            last = line.removeprefix("data: ")
            if number == after:
                return ended(kind, reply, {})
    broken = {} if last == "[DONE]" else json.loads(last)
    return ended(kind, reply, broken, whole=last == "[DONE]" or "error" in broken)


def left(asking: Asking) -> Outcome:
    """A stream that is left in the middle."""
    return streamed(asking, after=asking.random.randint(0, 6))


def impatient(asking: Asking) -> Outcome:
    """A whole answer that is not waited for."""
    content = json.dumps(asking.body(max_completion_tokens=200)).encode()
    with suppress(httpx.ReadTimeout):
        asking.http.post(
            f"{asking.address}/v1/chat/completions",
            content=content,
            headers=HEADERS,
            timeout=asking.random.uniform(0.01, 0.1),
        )
    return Outcome(kind="impatient", status=200)


def half(asking: Asking) -> Outcome:
    """A body that ends in the middle."""
    host, port = asking.address.removeprefix("http://").split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: 999\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    with socket.create_connection((host, int(port)), PATIENCE_S) as line:
        line.sendall(f'{head}{fields}\r\n{{"model": '.encode())
    return Outcome(kind="half", status=200)


def oversized(asking: Asking) -> Outcome:
    """A body beyond the limit."""
    spare = LIMIT_BYTES + asking.random.randint(1, 2 * 1024**2)
    return asking.post("oversized", asking.body(stop="x" * spare))


def malformed(asking: Asking) -> Outcome:
    """A body that is no JSON."""
    text = json.dumps(asking.body())
    return asking.post("malformed", text[: asking.random.randint(1, len(text) - 1)].encode())


def unknown_model(asking: Asking) -> Outcome:
    """A model that is not served."""
    return asking.post("unknown_model", asking.body(model="gpt-0"))


def wrong_key(asking: Asking) -> Outcome:
    """A key that is not one."""
    return asking.post("wrong_key", asking.body(), key="other")


Kind = Callable[[Asking], Outcome]
MIX: Sequence[Kind] = (
    *(whole, whole, whole, streamed, streamed, streamed, left, left, left, impatient, half),
    *(oversized, malformed, unknown_model, wrong_key),
)
"""A request is one of these, each as likely."""
REFUSALS = {
    "oversized": (413, "request-too-large"),
    "malformed": (400, "request-unreadable"),
    "unknown_model": (404, "model-not-served"),
    "wrong_key": (401, "invalid_api_key"),
}


def outcomes(
    address: str,
    model: str,
    clients: int,
    requests: int,
    kinds: Sequence[Kind] = MIX,
    half_way: Callable[[], object] = lambda: None,
) -> list[Outcome]:
    """What becomes of `requests` requests that `clients` clients ask at once.

    The first client calls `half_way` before the middle one of its requests.
    """

    def ask(number: int) -> list[Outcome]:
        random = Random(number)
        share = len(range(number, requests, clients))
        found = []
        with httpx.Client(timeout=PATIENCE_S, verify=False, trust_env=False) as http:
            asking = Asking(http, address, model, random)
            for turn in range(share):
                if (number, turn) == (0, share // 2):
                    half_way()
                found.append(random.choice(kinds)(asking))
        return found

    with ThreadPoolExecutor(clients) as pool:
        return [each for found in pool.map(ask, range(clients)) for each in found]
