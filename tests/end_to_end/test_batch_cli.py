"""`tune batch`, and the choice of an engine, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from domain.errors import HextuneError
from entrypoints.cli.commands.batch import answered, finished, read_requests
from entrypoints.cli.main import app
from tests.doors.http_server import ScriptedEngine, serving


def line(name: str, **fields: Any) -> dict[str, Any]:
    body = {"model": "echo-run", "messages": [{"role": "user", "content": f"say {name}"}]}
    url = "/v1/chat/completions"
    return {"custom_id": name, "method": "POST", "url": url, "body": body} | fields


def written(path: Path, lines: list[Any]) -> Path:
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
    path.write_text(text, encoding="utf-8")
    return path


def tune(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=True)


def code_of(result: Result) -> str:
    assert isinstance(result.exception, HextuneError)
    return result.exception.problems[0].code


def answers(path: Path) -> dict[str, Any]:
    found = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert len({each["custom_id"] for each in found}) == len(found)
    return {each["custom_id"]: each["response"] for each in found}


def test_a_batch_is_answered_and_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    engine = ScriptedEngine(["naïve ", "文字"])
    names = ["a", "b", "c"]
    extra = [
        line("wrong", body={"model": "echo-run", "messages": []}),
        line("nowhere", url="/v1/images"),
        line("text", url="/v1/completions", body={"model": "echo-run", "prompt": "x"}),
    ]
    source = written(tmp_path / "in.jsonl", [*map(line, names), *extra])
    target = tmp_path / "out.jsonl"
    with serving(engine) as address:
        options = ["--engine", "remote", "--url", f"{address}/v1", "--model", "echo-run"]
        result = tune("batch", source, target, *options)
        assert result.exception is None
        whole = answers(target)
        assert set(whole) == {*names, "wrong", "nowhere", "text"}
        for name in names:
            said = whole[name]["body"]["choices"][0]["message"]["content"]
            assert (whole[name]["status_code"], said) == (200, "naïve 文字")
        assert whole["text"]["body"]["choices"][0]["text"] == "naïve 文字"
        assert whole["wrong"]["status_code"] == 400
        assert whole["nowhere"]["status_code"] == 404
        asked = len(engine.requests)
        kept = target.read_text(encoding="utf-8").splitlines()
        target.write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:30], encoding="utf-8")
        lost = json.loads(kept[-1])["custom_id"]
        assert tune("batch", source, target, *options).exception is None
        assert set(answers(target)) == set(whole)
        assert len(engine.requests) - asked == (lost in (*names, "text"))


def test_what_failed_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    path = written(
        tmp_path / "out.jsonl",
        [
            {"custom_id": name, "response": {"status_code": status, "body": {}}}
            for name, status in {"a": 200, "b": 503, "c": 429, "d": 404}.items()
        ],
    )
    assert finished(path) == {"a", "d"}
    assert set(answers(path)) == {"a", "d"}


def test_every_bad_line_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"custom_id": "a"}\n\n[1]\n{"custom_id": "a"}\n\xff\n')
    with pytest.raises(HextuneError) as caught:
        read_requests(path)
    assert [found.place.line for found in caught.value.problems] == [3, 4, 5]
    with pytest.raises(HextuneError) as caught:
        read_requests(tmp_path / "none.jsonl")
    assert caught.value.problems[0].code == "batch-missing"


def test_so_many_lines_are_asked_at_once() -> None:
    import threading

    meeting = threading.Barrier(3, timeout=20)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        meeting.wait()
        return asked

    lines = [line(str(number)) for number in range(6)]
    found = [each["custom_id"] for each in answered(answer, lines, 3)]
    assert sorted(found) == [each["custom_id"] for each in lines]


def test_an_engine_is_chosen_by_name_and_address(tmp_path: Path) -> None:
    unknown = tune("serve", "http", "--engine", "transformer")
    assert code_of(unknown) == "spec-unknown-name"
    assert "Did you mean `transformers`?" in str(unknown.exception.problems[0].hint)  # type: ignore[union-attr]
    assert code_of(tune("serve", "http", "--engine", "remote")) == "engine-needs-url"
    assert code_of(tune("chat", "x", "--url", "http://h/v1")) == "engine-needs-url"
    several = ["--also", "b", "--engine", "remote", "--url", "http://h/v1"]
    assert code_of(tune("serve", "grpc", "--model", "a", *several)) == "engine-cannot"


def test_a_chat_asks_a_remote_engine() -> None:
    with serving(ScriptedEngine(["forty", " two"])) as address:
        options = ["--engine", "remote", "--url", f"{address}/v1", "--ask", "What?"]
        result = tune("chat", "echo-run", *options)
    assert result.exception is None
    assert "forty two" in result.stdout
