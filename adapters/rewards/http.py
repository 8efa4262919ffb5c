"""Reward http: a server that scores answers.

POST {"model": ..., "input": [text, ...]} or {"model": ..., "messages": [[turn, ...], ...]}. The
reply is {"scores": [number, ...]}, or {"data": [{"score": number}, ...]} as vLLM's scoring server
gives it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.rewards import Frozen, Reward, Setting
from adapters.rollouts import Answer
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section


@section
class Options:
    """Options of reward http."""

    url: str
    """Address that scores, such as http://127.0.0.1:8000/score."""
    model: str = "reward"
    """Name of the model that is asked for."""
    send: Literal["input", "messages"] = "input"
    """The rendered text of prompt and answer, or their turns."""
    key_variable: str | None = None
    """Environment variable with the key to send; none where not set."""
    timeout_s: float = limited(60.0, gt=0)
    """Longest wait for one reply, in seconds."""
    weight: float = 1.0
    """What the reward is multiplied by in the sum."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError for an address of another kind, and for a key that is not there."""
    options = options_of(Options, values)
    if not options.url.startswith(("http://", "https://")):
        raise fail("reward-url", Place(field=f"{field}.url"), url=options.url)
    if options.key_variable is not None and options.key_variable not in os.environ:
        place = Place(field=f"{field}.key_variable")
        raise fail("reward-no-key", place, name=options.key_variable)


def frozen(values: Mapping[str, Json], model: ModelHandle) -> Frozen:
    """Nothing here."""
    return Frozen()


def build(values: Mapping[str, Json], setting: Setting) -> Reward:
    """Asks the server once for all answers of a step."""
    options = options_of(Options, values)

    def score(answers: Sequence[Answer]) -> list[float]:
        if options.send == "messages":
            sent: list[Any] = [_turns(each) for each in answers]
        else:
            sent = [setting.tokenizer.decode([*each.prompt, *each.tokens]) for each in answers]
        return _scores(options, {"model": options.model, options.send: sent})

    return score


def _turns(answer: Answer) -> list[dict[str, Any]]:
    turns = [message.as_json() for message in answer.asked.messages]
    return [*turns, {"role": "assistant", "content": answer.text}]


def _scores(options: Options, body: Mapping[str, Any]) -> list[float]:
    """The reply's scores. Raises HextuneError where there are none."""
    import httpx

    key = os.environ[options.key_variable] if options.key_variable else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.post(options.url, json=body, headers=headers, timeout=options.timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise fail("server-unreachable", url=options.url, reason=error) from None
    if reply.is_error:
        reason = f"{reply.status_code} {reply.text[:200]}"
        raise fail("reward-refused", url=options.url, reason=reason)
    try:
        found = reply.json()
        if "scores" in found:
            return [float(each) for each in found["scores"]]
        return [float(each["score"]) for each in found["data"]]
    except (ValueError, LookupError, TypeError) as error:
        reason = f"no scores in it: {error}"
        raise fail("reward-refused", url=options.url, reason=reason) from None
