"""Rewards: what each is worth, and what it says where it cannot work."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.reward_sum import check_rewards, summed
from adapters.rewards import Setting
from adapters.rollouts import Answer
from domain.conversation import Message, Role
from domain.errors import HextuneError
from domain.prompted import Prompted
from tests.fakes.models import HANDLE
from tests.fixtures.tiny_model import tiny_tokenizer

WEIGHT = {"weight": 1.0}
REGEX: dict[str, Any] = {
    "name": "regex",
    "pattern": "(-?[0-9.]+)",
    "compare": False,
    "take": "first",
    **WEIGHT,
}
REGEX |= {"reward": 1.0, "otherwise": 0.0}
HTTP: dict[str, Any] = {
    "name": "http",
    "model": "m",
    "send": "input",
    "key_variable": None,
    "timeout_s": 5.0,
}
HTTP |= WEIGHT


def answer(text: str, reference: str = "4", *, ended: bool = True) -> Answer:
    turns = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "What is 2 + 2?"))
    tokenizer = tiny_tokenizer()
    return Answer(
        Prompted(turns, reference), tokenizer("2 + 2?")["input_ids"],
        tokenizer(text)["input_ids"], ended, text,
    )  # fmt: skip


def worth(*rewards: dict[str, Any], answers: list[Answer], unended: float = 0.0) -> list[float]:
    setting = Setting(network=None, tokenizer=tiny_tokenizer(), model=HANDLE, most_rows=2)
    check_rewards(rewards)
    return list(summed(rewards, setting, unended)(answers).total)


def code(*rewards: dict[str, Any], answers: list[Answer] | None = None) -> str:
    with pytest.raises(HextuneError) as caught:
        worth(*rewards, answers=answers or [answer("4")])
    return caught.value.problems[0].code


def test_there_are_these_rewards() -> None:
    assert FolderCatalog().names("rewards") == ["function", "http", "model", "regex"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 1, 0, 1]),
        ({"compare": True}, [1, 0, 0, 1]),
        ({"compare": True, "take": "last"}, [1, 1, 0, 1]),
        ({"otherwise": -1.0, "reward": 2.0}, [2, 2, -1, 2]),
    ],
)
def test_a_pattern_is_found_or_what_it_captures_is_right(
    options: dict[str, Any], expected: list[float]
) -> None:
    texts = ["4", "3 + 1 is 4", "four", "4.0"]
    assert worth({**REGEX, **options}, answers=[answer(each) for each in texts]) == expected


def test_rewards_are_weighted_and_summed_and_an_answer_without_end_loses() -> None:
    first: dict[str, Any] = {**REGEX, "weight": 2.0}
    second: dict[str, Any] = {**REGEX, "pattern": "is", "weight": 0.5}
    texts = [answer("4"), answer("it is 4"), answer("it is 4", ended=False)]
    assert worth(first, second, answers=texts, unended=0.25) == [2.0, 2.5, 2.25]
    setting = Setting(network=None, tokenizer=None, model=HANDLE, most_rows=2)
    assert dict(summed([first, second], setting, 0)(texts).parts) == {
        "regex_1": [1.0, 1.0, 1.0],
        "regex_2": [0.0, 1.0, 1.0],
    }


def test_what_a_pattern_lacks_is_said() -> None:
    assert code() == "rule-rl-no-reward"
    assert code({**REGEX, "pattern": "("}) == "reward-pattern"
    assert code({**REGEX, "pattern": "[0-9]", "compare": True}) == "reward-pattern-group"


def function(folder: Path, text: str, *, trust: bool = True) -> dict[str, Any]:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return {"name": "function", "path": str(path), "trust_script": trust, **WEIGHT}


def test_a_function_sees_prompts_answers_and_rows(tmp_path: Path) -> None:
    text = (
        "def reward(prompts, answers, rows):\n"
        "    print('aside')\n"
        "    assert prompts == ['What is 2 + 2?'] * 2\n"
        "    assert [m['role'] for m in rows[0]['messages']] == ['system', 'user']\n"
        "    return [float(a == r['answer']) for a, r in zip(answers, rows)]\n"
    )
    assert worth(function(tmp_path, text), answers=[answer("4"), answer("5")]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def other(): pass", "reward-no-function"),
        ("def reward(p, a, r): return [1 / 0]", "reward-failed"),
        ("raise SystemExit", "reward-failed"),
        ("def reward(p, a, r:", "reward-failed"),
        ("def reward(p, a, r): return 1.0", "reward-not-numbers"),
        ("def reward(p, a, r): return []", "reward-not-numbers"),
        ("def reward(p, a, r): return [float('nan')]", "reward-not-numbers"),
        ("def reward(p, a, r): return ['1']", "reward-not-numbers"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(tmp_path: Path, text: str, expected: str) -> None:
    assert code(function(tmp_path, text)) == expected


def test_a_function_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\ndef reward(p, a, r): return [0.0]"
    assert code(function(tmp_path, text, trust=False)) == "reward-untrusted"
    assert not (tmp_path / "ran").exists()
    missing = {**function(tmp_path, text), "path": str(tmp_path / "none.py")}
    assert code(missing) == "reward-file-missing"


class _Server(HTTPServer):
    reply: Any = None
    status = 200
    seen: dict[str, Any] | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.server.seen = json.loads(self.rfile.read(size))
        self.server.seen["key"] = self.headers["Authorization"]
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.reply).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    serving = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving
    serving.shutdown()


def at(server: _Server, **options: Any) -> dict[str, Any]:
    return {**HTTP, "url": f"http://127.0.0.1:{server.server_port}/score", **options}


def test_a_server_scores_texts_or_turns(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = {"scores": [0.5, -1]}
    both = [answer("4"), answer("5")]
    assert worth(at(server), answers=both) == [0.5, -1.0]
    assert server.seen == {"model": "m", "input": ["2 + 2?4", "2 + 2?5"], "key": None}
    server.reply = {"data": [{"index": 0, "score": 2}]}
    monkeypatch.setenv("SCORER_KEY", "secret")
    asked = at(server, send="messages", key_variable="SCORER_KEY")
    assert worth(asked, answers=[answer("4")]) == [2.0]
    assert server.seen["key"] == "Bearer secret"
    assert server.seen["messages"][0][-1] == {"role": "assistant", "content": "4"}


@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (500, {}, "reward-refused"),
        (200, {"other": 1}, "reward-refused"),
        (200, {"scores": ["x"]}, "reward-refused"),
        (200, {"scores": [1, 2]}, "reward-not-numbers"),
        (200, [1.0], "reward-refused"),
    ],
)
def test_a_bad_reply_is_said(server: _Server, status: int, reply: Any, expected: str) -> None:
    server.status, server.reply = status, reply
    assert code(at(server)) == expected


def test_a_server_that_is_not_there_is_said() -> None:
    assert code({**HTTP, "url": "http://127.0.0.1:9/score"}) == "server-unreachable"
    assert code({**HTTP, "url": "127.0.0.1:9"}) == "reward-url"
    assert code({**HTTP, "url": "http://a", "key_variable": "NOT_SET_ANYWHERE"}) == "reward-no-key"


def test_a_folder_without_a_value_head_is_no_reward_model(tmp_path: Path) -> None:
    assert code({"name": "model", "model": str(tmp_path), **WEIGHT}) == "reward-model-missing"
