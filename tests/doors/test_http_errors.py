"""What the HTTP door says when it cannot answer."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from dependency_injector import providers

from adapters.translate import JsonTranslator
from domain.errors import fail
from entrypoints.http_api.body import LIMIT_BYTES, READ_BYTES
from entrypoints.http_api.schema.field_table import field_table
from tests.doors.http_server import ScriptedEngine, body, client, echo_engine, serving
from tests.fakes.container import fake_container

KEY = "s3cret"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(echo_engine()) as url:
        yield url


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with serving(echo_engine(), api_key=KEY) as url:
        yield url


def post(address: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{address}/v1/chat/completions", json=body(**fields))


def error_of(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "hint", "details"}
    first = {key: error[key] for key in ("message", "param", "code", "hint")}
    assert error["details"][0] == first
    return error


UNSUPPORTED: dict[str, Any] = {
    "functions": [{"name": "f"}],
    "function_call": "auto",
    "modalities": ["audio"],
    "prediction": {"type": "content", "content": "x"},
    "metadata": {"a": "b"},
    "user": "me",
    "store": True,
    "reasoning_effort": "low",
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", UNSUPPORTED)
def test_an_unsupported_field_is_refused_by_name(address: str, field: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(address).chat.completions.create(
            **body(stream=stream), **{field: UNSUPPORTED[field]}
        )
    assert (caught.value.param, caught.value.code) == (field, "request-unsupported-field")
    assert caught.value.type == "invalid_request_error"
    assert f"`{field}`" in str(caught.value)


def test_an_unknown_field_is_refused_by_name(address: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(address).chat.completions.create(**body(), extra_body={"temprature": 1})
    assert caught.value.param == "temprature"


def test_every_mistake_is_told_at_once(address: str) -> None:
    said = [{"role": "assistant", "content": "x"}, {"role": "tool", "content": 5, "name": "n"}]
    error = error_of(post(address, messages=said, temperature=3, tools=[1], stop=[""] * 5), 400)
    assert [found["param"] for found in error["details"]] == [
        "messages[1].name",
        "temperature",
        "stop",
        "messages[1].content",
        "tools[0]",
    ]


def test_an_unknown_model_is_not_found(address: str) -> None:
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client(address).chat.completions.create(**{**body(stream=stream), "model": "gpt"})
        assert caught.value.code == "model-not-served"
    with pytest.raises(openai.NotFoundError):
        client(address).models.retrieve("gpt/x")


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/chat/completions", "/nothing", "/docs", "/openapi.json", "/health/"]
)
def test_every_other_path_needs_the_key(locked: str, path: str) -> None:
    wrong = [{}, {"authorization": "Bearer wrong"}, {"authorization": KEY}]
    wrong += [{"authorization": f"Basic {KEY}"}, {"authorization": f"Bearer {KEY} x"}]
    for headers in wrong:
        reply = httpx.get(locked + path, headers=headers)
        assert error_of(reply, 401)["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"


def test_the_right_key_opens(locked: str) -> None:
    assert len(list(client(locked, KEY).models.list())) == 2
    assert (
        httpx.get(f"{locked}/nothing", headers={"authorization": f"bearer {KEY}"}).status_code
        == 404
    )
    with pytest.raises(openai.AuthenticationError):
        client(locked, KEY + "x").models.list()


def test_health_is_open(locked: str) -> None:
    reply = httpx.get(f"{locked}/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ready"})


def test_no_such_route(address: str) -> None:
    assert error_of(httpx.get(f"{address}/v2"), 404)["code"] == "request-no-route"
    reply = httpx.get(f"{address}/v1/chat/completions")
    assert "GET /v1/chat/completions" in error_of(reply, 405)["message"]
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b'{"temperature": NaN}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "no-utf-8", "nan", "surrogate", "nested"],
)
def test_a_body_that_is_no_json(address: str, text: bytes) -> None:
    json_type = {"content-type": "application/json"}
    reply = httpx.post(f"{address}/v1/chat/completions", content=text, headers=json_type)
    assert error_of(reply, 400)["code"] == "request-unreadable"


def test_a_body_of_another_type_is_refused(address: str) -> None:
    for headers in ({}, {"content-type": "text/plain"}):
        text = json.dumps(body()).encode()
        reply = httpx.post(f"{address}/v1/chat/completions", content=text, headers=headers)
        assert "Content-Type" in error_of(reply, 400)["message"]


def test_a_body_at_the_limit_is_read_and_beyond_it_is_not(address: str) -> None:
    spare = LIMIT_BYTES - len(json.dumps(body(stop="")).encode())
    text = json.dumps(body(stop="x" * spare)).encode()
    json_type = {"content-type": "application/json"}
    url = f"{address}/v1/chat/completions"
    assert httpx.post(url, content=text, headers=json_type).status_code == 200
    error = error_of(httpx.post(url, content=text + b" ", headers=json_type), 413)
    assert error["code"] == "request-too-large"
    pieces = iter([text, text])
    assert error_of(httpx.post(url, content=pieces, headers=json_type), 413)["param"] is None


def test_an_endless_body_is_not_read_to_its_end(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 1000000000\r\n\r\n" + b" " * (READ_BYTES + 1)
        )
        raw.settimeout(10)
        assert raw.recv(64).startswith(b"HTTP/1.1 413 ")


def test_an_error_before_the_first_piece_is_no_stream() -> None:
    refusal = fail("request-too-long", prompt=9, asked=1, context=8)
    with serving(ScriptedEngine([refusal])) as address:
        reply = post(address, stream=True)
        assert error_of(reply, 400)["code"] == "request-too-long"
        assert reply.headers["content-type"] == "application/json"


def test_an_error_in_the_middle_is_an_event() -> None:
    with serving(ScriptedEngine(["one", fail("data-template-refused", reason="odd")])) as address:
        pieces = client(address).chat.completions.create(**body(stream=True))
        assert next(pieces).choices[0].delta.role == "assistant"
        assert next(pieces).choices[0].delta.content == "one"
        with pytest.raises(openai.APIError) as caught:
            next(pieces)
        assert caught.value.code == "data-template-refused"
        assert "[DONE]" not in post(address, stream=True).text


@pytest.mark.parametrize("script", [[ZeroDivisionError("inner")], ["one", KeyError("inner")]])
@pytest.mark.parametrize("stream", [False, True])
def test_a_defect_is_no_traceback(script: list[str | Exception], stream: bool) -> None:
    with serving(ScriptedEngine(script)) as address:
        reply = post(address, stream=stream)
    assert '"code":"unexpected"' in reply.text
    assert "server_error" in reply.text
    assert "inner" not in reply.text
    assert reply.status_code == (200 if stream and script[0] == "one" else 500)


def test_messages_come_in_the_callers_language(tmp_path: Path) -> None:
    texts = {"errors": {"access-denied": ["Ключ не подходит.", "Пришлите другой."]}}
    (tmp_path / "ru.json").write_text(json.dumps(texts), encoding="utf-8")
    container = fake_container()
    container.translator.override(providers.Object(JsonTranslator(tmp_path)))
    with serving(echo_engine(), KEY, container) as address:
        for wanted, message in {
            "ru-RU,ru;q=0.9": "Ключ не подходит.",
            "xx": "The API key is missing or wrong.",
        }.items():
            reply = httpx.get(f"{address}/v1/models", headers={"accept-language": wanted})
            assert error_of(reply, 401)["message"] == message
        assert reply.headers["content-language"] == "en"


def test_no_other_origin_is_let_in(address: str) -> None:
    reply = httpx.options(
        f"{address}/v1/models",
        headers={"origin": "http://other", "access-control-request-method": "GET"},
    )
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_the_documentation_tells_what_every_field_does(address: str) -> None:
    operation = httpx.get(f"{address}/openapi.json").json()["paths"]["/v1/chat/completions"]["post"]
    assert field_table() in operation["description"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert "max_completion_tokens" in schema["properties"]
    assert httpx.get(f"{address}/docs").status_code == 200
