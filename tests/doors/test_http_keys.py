"""Keys with scopes: closed by default, in both network doors and on the command line."""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from typer.testing import CliRunner

from domain.access import Scope
from domain.errors import HextuneError
from entrypoints.cli.main import app as tune
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2
from entrypoints.http_api.app import serve
from entrypoints.http_api.auth import OPEN_PATHS, needed
from tests.doors.grpc_fixtures import connected, failure
from tests.doors.http_server import body, echo_engine, serving
from tests.doors.tuning_server import error_in, tuning_container

MASTER = "master-key"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class Guarded:
    """A server with one key of each scope, and a master key."""

    def __init__(self, container: Container, address: str) -> None:
        self.container = container
        self.address = address
        keys = container.manage_keys()
        self.keys = {scope.value: keys.add(scope.value, scope.value) for scope in Scope}

    def status(self, method: str, path: str, key: str | None) -> int:
        headers = bearer(key) if key else {}
        content = {"json": body()} if method == "POST" else {}
        url = self.address + path
        return httpx.request(method, url, headers=headers, **content).status_code  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    container = tuning_container(tmp_path_factory.mktemp("runs"))
    with serving(echo_engine(), MASTER, container) as address:
        yield Guarded(container, address)


def test_every_path_but_health_is_closed(guarded: Guarded) -> None:
    document = httpx.get(f"{guarded.address}/openapi.json", headers=bearer(MASTER)).json()
    asked = [(m.upper(), path) for path, item in document["paths"].items() for m in item]
    assert len(asked) > 25
    for method, path in [*asked, ("GET", "/nothing"), ("GET", "/docs"), ("POST", "/v1/x")]:
        for key in (None, "wrong", "ht-wrong"):
            status = guarded.status(method, path, key)
            assert status == (200 if path in OPEN_PATHS else 401), (method, path)
    assert set(OPEN_PATHS) <= {path for _, path in asked}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/models", "read infer train"),
        ("GET", "/v1/files", "read train"),
        ("GET", "/v1/fine_tuning/jobs", "read train"),
        ("GET", "/metrics", "read"),
        ("POST", "/v1/chat/completions", "infer"),
        ("POST", "/v1/fine_tuning/jobs", "train"),
        ("POST", "/v1/files", "train"),
        ("POST", "/v1/uploads", "train"),
        ("DELETE", "/v1/models/ft:a:b:c:d", "train"),
        ("DELETE", "/v1/files/file-x", "train"),
        ("GET", "/elsewhere", ""),
        ("PATCH", "/v1/models", ""),
    ],
)
def test_a_scope_allows_what_it_says(
    guarded: Guarded, method: str, path: str, allowed: str
) -> None:
    for scope, key in guarded.keys.items():
        passed = guarded.status(method, path, key) != 403
        assert passed is (scope == "admin" or scope in allowed.split()), scope
    assert guarded.status(method, path, MASTER) != 403


def test_a_refusal_says_what_is_needed(guarded: Guarded) -> None:
    reply = httpx.get(f"{guarded.address}/metrics", headers=bearer(guarded.keys["infer"]))
    found = error_in(reply)
    assert (reply.status_code, found["code"]) == (403, "access-scope")
    assert "read" in found["message"]


def test_a_removed_key_is_refused_at_once(guarded: Guarded) -> None:
    key = guarded.container.manage_keys().add("short", "read")
    assert guarded.status("GET", "/v1/models", key) == 200
    guarded.container.manage_keys().remove("short")
    assert guarded.status("GET", "/v1/models", key) == 401


def test_without_any_key_this_machine_may_do_everything(tmp_path: Path) -> None:
    container = tuning_container(tmp_path)
    with serving(echo_engine(), container=container) as address:
        assert httpx.get(f"{address}/metrics").status_code == 200
        container.manage_keys().add("first", "read")
        assert httpx.get(f"{address}/metrics").status_code == 401


def test_kept_keys_open_a_reachable_host(tmp_path: Path) -> None:
    """With a key on record the door may listen to others; without one it may not."""
    container = tuning_container(tmp_path)

    class LoadedError(Exception):
        pass

    def load() -> Any:
        raise LoadedError

    def start() -> None:
        serve(container, load, host="0.0.0.0", port=0, api_key=None)

    with pytest.raises(HextuneError) as caught:
        start()
    assert caught.value.problems[0].code == "serve-needs-key"
    container.manage_keys().add("first", "infer")
    with pytest.raises(LoadedError):
        start()


def test_only_sums_are_kept_where_only_their_owner_reads(tmp_path: Path) -> None:
    keys = tuning_container(tmp_path).manage_keys()
    text = keys.add("me", "infer,train")
    assert re.fullmatch(r"ht-[A-Za-z0-9_-]{43}", text)
    file = tmp_path / ".keys.json"
    assert text not in file.read_text()
    assert text.removeprefix("ht-") not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (kept,) = keys.all()
    assert (kept.name, kept.scopes) == ("me", {Scope.INFER, Scope.TRAIN})


async def test_grpc_asks_the_same_keys(tmp_path: Path) -> None:
    container = tuning_container(tmp_path)
    keys = container.manage_keys()
    reading, training = keys.add("reading", "read"), keys.add("training", "train")
    async with connected(container) as client:

        async def code_of(key: str, call: Any) -> Any:
            failed = await failure(call(metadata=(("authorization", f"Bearer {key}"),)))
            return failed.code

        def create(**more: Any) -> Any:
            return client.jobs.CreateJob(jobs_pb2.CreateJobRequest(), **more)

        listing = jobs_pb2.ListJobsRequest()
        metadata = (("authorization", f"Bearer {reading}"),)
        assert list((await client.jobs.ListJobs(listing, metadata=metadata)).jobs) == []
        assert await code_of(reading, create) is grpc.StatusCode.PERMISSION_DENIED
        assert await code_of(training, create) is grpc.StatusCode.INVALID_ARGUMENT
        assert await code_of("wrong", create) is grpc.StatusCode.UNAUTHENTICATED


def test_keys_are_made_listed_and_removed_by_the_command_line(tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path)]
    run = CliRunner()
    made = run.invoke(tune, ["keys", "add", "ci", "--scope", "infer,train", *runs])
    assert made.exit_code == 0
    text = made.stdout.strip()
    assert text.startswith("ht-")
    listed = run.invoke(tune, ["keys", "list", "--json", *runs])
    (shown,) = json.loads(listed.stdout)
    assert (shown["name"], shown["scopes"]) == ("ci", "infer,train")
    assert text not in listed.stdout
    assert run.invoke(tune, ["keys", "remove", "ci", *runs]).exit_code == 0
    for arguments, code in (
        (["remove", "ci"], "key-missing"),
        (["add", "a b"], "key-name-unfit"),
        (["add", "x", "--scope", "all"], "key-scope-unknown"),
    ):
        failed = run.invoke(tune, ["keys", *arguments, *runs])
        assert isinstance(failed.exception, HextuneError)
        assert failed.exception.problems[0].code == code
    run.invoke(tune, ["keys", "add", "x", *runs])
    twice = run.invoke(tune, ["keys", "add", "x", *runs])
    assert isinstance(twice.exception, HextuneError)
    assert twice.exception.problems[0].code == "key-known"


@pytest.mark.parametrize("path", ["/v1/files/..", "//v1/models", "/v1", "/metrics2", "/"])
def test_paths_beside_the_table_need_admin_or_more(path: str) -> None:
    assert Scope.INFER not in needed("GET", path)
