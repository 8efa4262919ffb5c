"""Requests made out of our own OpenAPI document, valid and not: none may break the server."""

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.doors.http_server import echo_engine, serving
from tests.doors.tuning_server import tuning_container

EXAMPLES = int(os.environ.get("HEXTUNE_FUZZ", "4"))
"""Requests of each kind for an operation; more find more and take longer."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    container = tuning_container(tmp_path_factory.mktemp("runs"))
    with serving(echo_engine(), container=container) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()  # type: ignore[untyped-decorator]
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_no_request_breaks_the_server(case: Any) -> None:
    case.call_and_validate(checks=(not_a_server_error,))
