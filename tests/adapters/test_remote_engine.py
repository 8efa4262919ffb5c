"""A served model as an engine, against our own HTTP door and against servers that fail."""

import pytest

from adapters.remote_engine import RemoteEngine, open_remote
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, fail
from domain.sampling import GenerationRequest, Sampling
from tests.doors.http_server import ScriptedEngine, echo_engine, serving


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
        (delta,) = engine.generate(ask(engine))
        assert (delta.text, delta.finish_reason) == ("two six", "stop")
        assert (delta.prompt_tokens, delta.completion_tokens) == (4, 2)
        (cut,) = engine.generate(ask(engine, max_tokens=1))
        assert (cut.text, cut.finish_reason) == ("two", "length")
        engine.close()


def test_the_server_gets_the_sampling_and_the_turns() -> None:
    scripted = ScriptedEngine(["42"])
    with serving(scripted) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        list(engine.generate(ask(engine, seed=7, stop=("END",))))
    (request,) = scripted.requests
    assert [turn.content for turn in request.conversation.messages] == ["one", "1", "two six"]
    assert request.sampling == Sampling(temperature=0.0, max_tokens=8, seed=7, stop=("END",))


def test_the_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(echo_engine(), api_key="secret") as address:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        assert code(open_remote(f"{address}/v1", "echo-run")) == "server-refused"
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        engine = open_remote(f"{address}/v1", "echo-run")
        assert [delta.text for delta in engine.generate(ask(engine))] == ["two six"]


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
