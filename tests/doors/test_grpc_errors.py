"""Errors of the gRPC door: statuses, details and languages, as a client decodes them."""

import json
import logging
from pathlib import Path

import grpc
import pytest
from dependency_injector import providers

from adapters.translate import JsonTranslator
from domain.error_texts import TEXTS
from domain.errors import HextuneError, Place, Problem, problem
from entrypoints.container import Container
from entrypoints.grpc_api.errors import BY_CODE, status_code, status_of
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2
from tests.doors.grpc_fixtures import connected, create, failure
from tests.fakes.container import fake_container

BAD_SPEC = """\
model: {name: fake}
data: {train: [{path: rows.jsonl}]}
schedule:
  max_stepps: 3
  epochs: many
"""


def speaking_russian(folder: Path) -> Container:
    """A container whose only translated error is run-missing."""
    texts = {"errors": {"run-missing": ["Запуска `{name}` нет.", "См. `tune runs`."]}}
    (folder / "ru.json").write_text(json.dumps(texts), encoding="utf-8")
    container = fake_container()
    container.translator.override(providers.Object(JsonTranslator(folder)))
    return container


async def test_a_bad_spec_gives_one_violation_with_line_for_each_mistake() -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.CreateJob(create(spec_text=BAD_SPEC)))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.info.domain == "hextune"
    found = {violation.field: violation for violation in failed.violations}
    assert set(found) == {"schedule.max_stepps", "schedule.epochs"}
    unknown, bad = found["schedule.max_stepps"], found["schedule.epochs"]
    assert unknown.description.startswith("spec_text:4: Unknown key")
    assert "max_steps" in unknown.description
    assert unknown.reason == "spec-unknown-key"
    assert bad.description.startswith("spec_text:5: ")
    assert "(and 1 more)" in failed.message


async def test_a_spec_without_a_format_is_refused() -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.CreateJob(create(spec_format=0)))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in failed.violations] == ["spec_format"]


async def test_errors_speak_the_callers_language(tmp_path: Path) -> None:
    async with connected(speaking_russian(tmp_path)) as client:
        call = client.jobs.GetJob(
            jobs_pb2.GetJobRequest(job_id="nothing"), metadata=(("accept-language", "ru-RU,en"),)
        )
        failed = await failure(call)
    assert failed.localized.locale == "ru"
    assert failed.localized.message == "Запуска `nothing` нет. См. `tune runs`."
    assert failed.message.startswith("There is no run `nothing`")


async def test_untranslated_errors_are_english_and_say_so(tmp_path: Path) -> None:
    async with connected(speaking_russian(tmp_path)) as client:
        call = client.jobs.CreateJob(
            create(spec_text=BAD_SPEC), metadata=(("accept-language", "ru"),)
        )
        failed = await failure(call)
    assert failed.localized.locale == "en"
    assert failed.localized.message.startswith("Unknown key `")


async def test_an_unexpected_error_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    container = fake_container()

    def broken() -> None:
        raise ValueError("secret path")

    container.find_run.override(providers.Callable(broken))
    async with connected(container) as client:
        call = client.jobs.GetJob(
            jobs_pb2.GetJobRequest(job_id="any"), metadata=(("x-request-id", "abc-1"),)
        )
        with caplog.at_level(logging.ERROR, logger="hextune.grpc"):
            failed = await failure(call)
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.INTERNAL, "unexpected")
    assert failed.trailers["x-request-id"] == "abc-1"
    assert "abc-1" in failed.message
    assert "secret path" not in str(failed)
    assert "Traceback" not in str(failed)
    assert "secret path" in caplog.text
    assert "abc-1" in caplog.text


async def test_a_request_id_is_returned_or_made() -> None:
    async with connected(fake_container()) as client:
        own = client.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=(("x-request-id", "mine"),))
        bad = client.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=(("x-request-id", "a b"),))
        await own, await bad
        kept = dict(await own.trailing_metadata())["x-request-id"]
        made = dict(await bad.trailing_metadata())["x-request-id"]
    assert kept == "mine"
    assert len(made) == 32


async def test_hundreds_of_problems_still_reach_the_client() -> None:
    text = "model: {name: fake}\n" + "".join(f"unknown_key_{n}: 1\n" for n in range(300))
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.CreateJob(create(spec_text=text)))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert 2 < len(failed.violations) < 300
    assert failed.violations[-1].description.endswith("more problems are left out here.")


def test_long_facts_do_not_outgrow_the_trailers() -> None:
    found = problem(
        "spec-bad-value",
        Place(file="f", line=1, field="a"),
        key="я" * 900,
        value="я" * 900,
        reason="я" * 900,
    )
    status = status_of(HextuneError([found] * 20), JsonTranslator(), None)
    assert status.ByteSize() < 5000
    assert len(status.details) == 3


@pytest.mark.parametrize("code", TEXTS)
def test_every_error_code_has_a_status(code: str) -> None:
    assert status_code(Problem(code=code)) is not grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("spec-syntax", "INVALID_ARGUMENT"),
        ("run-missing", "NOT_FOUND"),
        ("output-unwritable", "PERMISSION_DENIED"),
        ("access-denied", "UNAUTHENTICATED"),
        ("output-disk-full", "RESOURCE_EXHAUSTED"),
        ("rule-does-not-fit", "FAILED_PRECONDITION"),
        ("server-stopping", "UNAVAILABLE"),
        ("run-failed", "INTERNAL"),
        ("run-damaged", "INTERNAL"),
    ],
)
def test_statuses_follow_exit_codes(code: str, status: str) -> None:
    assert status_code(Problem(code=code)) is grpc.StatusCode[status]


def test_narrower_statuses_name_codes_that_exist() -> None:
    assert set(BY_CODE) <= set(TEXTS)
