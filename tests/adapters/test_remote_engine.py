"""A served model as an engine, against our own HTTP door and against servers that fail."""

from typing import Any

import pytest

from adapters.remote_engine import RemoteEngine, open_remote
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, fail
from domain.sampling import GenerationRequest, Grammar, Sampling, TextDelta, TokenLogprob
from tests.doors.http_server import ScriptedEngine, echo_engine, serving

LAST = TextDelta(text="", finish_reason="stop", prompt_tokens=4, completion_tokens=2)


def ask(engine: RemoteEngine, model: str = "echo-run", **sampling: object) -> GenerationRequest:
    turns = (Message(Role.USER, "one"), Message(Role.ASSISTANT, "1"), Message(Role.USER, "two six"))
    return GenerationRequest(
        model=model,
        conversation=Conversation(turns),
        sampling=Sampling(**{"temperature": 0.0, "max_tokens": 8, **sampling}),  # type: ignore[arg-type]
    )


def code(engine: RemoteEngine, model: str = "echo-run") -> str:
    with pytest.raises(HextuneError) as caught:
        list(engine.generate(ask(engine, model)))
    return caught.value.problems[0].code


def test_the_answer_and_its_counts_come_back() -> None:
    with serving(echo_engine()) as address:
        engine = RemoteEngine(f"{address}/v1/", "echo-run", None)
        *pieces, last = engine.generate(ask(engine))
        assert [piece.text for piece in pieces] == ["two", " six"]
        assert (last.text, last.finish_reason) == ("", "stop")
        assert (last.prompt_tokens, last.completion_tokens) == (4, 2)
        *pieces, last = engine.generate(ask(engine, max_tokens=1))
        assert ([piece.text for piece in pieces], last.finish_reason) == (["two"], "length")
        engine.close()


def test_the_server_gets_the_sampling_and_the_turns() -> None:
    scripted = ScriptedEngine(["42"])
    asked: dict[str, Any] = {
        "seed": 7,
        "stop": ("END",),
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "logit_bias": ((5, 1.5),),
        "logprobs": 3,
        "grammar": Grammar(schema='{"type": "object"}'),
    }
    with serving(scripted) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        list(engine.generate(ask(engine, **asked)))
    (request,) = scripted.requests
    assert [turn.content for turn in request.conversation.messages] == ["one", "1", "two six"]
    assert request.sampling == Sampling(temperature=0.0, max_tokens=8, **asked)


def test_a_prompt_is_completed_as_it_stands() -> None:
    scripted = ScriptedEngine(["42"])
    with serving(scripted) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        sampling = Sampling(max_tokens=4, logprobs=2)
        for prompt in ("a text", (1, 2, 3)):
            asked = GenerationRequest(model="echo-run", prompt=prompt, echo=True, sampling=sampling)
            assert "".join(delta.text for delta in engine.generate(asked)) == "42"
            assert scripted.requests[-1] == asked
        endless = GenerationRequest(model="echo-run", prompt="x")
        with pytest.raises(HextuneError):
            engine.generate(endless)


def test_log_probabilities_and_thoughts_come_back() -> None:
    told = TokenLogprob(text="42", logprob=-0.5, top=(("42", -0.5), ("7", -1.0)))
    scripted = ScriptedEngine()
    said = TextDelta(text="42", reasoning="hm", logprobs=(told,))
    scripted.generate = lambda request: (each for each in [said, LAST])  # type: ignore[method-assign]
    with serving(scripted) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        first, last = engine.generate(ask(engine, logprobs=2))
    assert (first, last) == (said, LAST)


def test_the_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(echo_engine(), api_key="secret") as address:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        assert code(open_remote(f"{address}/v1", "echo-run")) == "server-refused"
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        engine = open_remote(f"{address}/v1", "echo-run")
        assert "".join(delta.text for delta in engine.generate(ask(engine))) == "two six"


def test_a_server_that_gives_no_answer_is_an_error() -> None:
    with serving(ScriptedEngine([fail("model-loading")])) as address:
        assert code(RemoteEngine(f"{address}/v1", "echo-run", None)) == "server-refused"
        assert code(RemoteEngine(f"{address}/nowhere", "echo-run", None)) == "server-refused"
    assert code(RemoteEngine(f"{address}/v1", "echo-run", None)) == "server-unreachable"
    assert code(RemoteEngine("no address", "echo-run", None)) == "server-unreachable"


def test_only_its_own_model_is_asked() -> None:
    engine = RemoteEngine("http://127.0.0.1:1", "echo-run", None)
    assert [model.name for model in engine.models()] == ["echo-run"]
    assert code(engine, "another") == "model-not-served"
