"""Likelihoods over HTTP: those of the model on this machine, and servers that tell none."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.remote_scorer import RemoteScorer, open_remote_scorer
from adapters.scorers.transformers import Scorer
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.scoring import ScoredGroup, ScoredItem, ScoredTokens
from tests.contracts.test_scorer import CLOSE, ITEMS, SHOT
from tests.doors.http_server import serving


@pytest.fixture(scope="module")
def resolved(tiny_model: Path) -> ResolvedModel:
    handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(tiny_model)))
    return ResolvedModel(label="tiny", handle=handle, created_at=1.0)


@pytest.fixture(scope="module")
def remote(resolved: ResolvedModel) -> Iterator[RemoteScorer]:
    """Our own HTTP door, asked by its address."""
    part = FolderCatalog().part("engines", "transformers")
    engine = part.Engine(resolved, TorchHardware().probe())
    with serving(engine) as address:
        scorer = open_remote_scorer(f"{address}/v1", "tiny")
        yield scorer
        scorer.close()
    engine.close()


@pytest.mark.parametrize("prefix", ["", SHOT])
def test_scores_are_those_of_the_model_on_this_machine(
    remote: RemoteScorer, resolved: ResolvedModel, prefix: str
) -> None:
    group = ScoredGroup(prefix=prefix, items=ITEMS)
    own = Scorer(resolved, TorchHardware().probe())
    wanted = dict(own.score(group, "tiny"))
    found = dict(remote.score(group, "tiny"))
    assert sorted(found) == sorted(wanted)
    for number, scores in found.items():
        assert scores == pytest.approx(wanted[number], abs=CLOSE), ITEMS[number].text
    row = ScoredTokens(ids=(5, 6, 7, 8), counted=(False, True, False, True))
    assert dict(remote.score_tokens([row], "tiny"))[0] == pytest.approx(
        dict(own.score_tokens([row], "tiny"))[0], abs=CLOSE
    )


def test_an_item_longer_than_the_context_is_none_and_the_others_are_scored(
    remote: RemoteScorer,
) -> None:
    items = [ScoredItem(text="long " * 600, continuations=(" A", " B")), ITEMS[0]]
    found = dict(remote.score(ScoredGroup(prefix=SHOT, items=items), "tiny"))
    assert found[0] is None
    assert found[1] is not None


def code(scorer: RemoteScorer, model: str = "tiny", text: str = "What? Answer:") -> str:
    item = ScoredItem(text=text, continuations=(" A", " B"))
    with pytest.raises(HextuneError) as caught:
        list(scorer.score(ScoredGroup(prefix="", items=[item]), model))
    return caught.value.problems[0].code


def test_what_cannot_be_scored_is_an_error(remote: RemoteScorer) -> None:
    assert code(remote, "nobody") == "model-not-served"
    assert code(remote, text="") == "server-no-likelihoods"
    assert code(open_remote_scorer("http://127.0.0.1:9/v1", "tiny")) == "server-unreachable"
    assert [each.name for each in remote.models()] == ["tiny"]


class Deaf(BaseHTTPRequestHandler):
    """A server that completes, and tells no log-probabilities."""

    def do_POST(self) -> None:
        """Answer in one event."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'data: {"choices": [{"index": 0, "text": "x"}]}\n\ndata: [DONE]\n\n'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *ignored: Any) -> None:
        """Keep quiet."""


def test_a_server_that_tells_no_log_probabilities_is_an_error() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Deaf)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    assert code(open_remote_scorer(address, "tiny")) == "server-no-likelihoods"
    server.shutdown()
