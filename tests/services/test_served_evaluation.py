"""Evaluations of a model that a server answers as."""

from dependency_injector import providers

from domain.job import JobStatus
from domain.model_handle import ResolvedModel
from tests.fakes.models import HANDLE, FakeRowReader
from tests.fakes.scoring import FakeScorer
from tests.services.test_evaluate_model import PROBLEMS, Answers, EvalWorld
from tests.services.world import codes


def test_a_served_model_is_asked_everything_but_perplexity() -> None:
    world = EvalWorld()
    world.put(rows=FakeRowReader({"test.jsonl": PROBLEMS[:1]}))  # type: ignore[dict-item]
    engine = Answers({"One and one?": "2"})
    world.container.open_remote.override(providers.Object(engine))
    served = "model: {name: theirs, url: 'http://127.0.0.1:1/v1'}\n"
    job = world.evaluate(served + "problems: [{data: {path: test.jsonl}}]\n")
    assert world.work(job).status is JobStatus.SUCCEEDED
    assert world.results(job)["models"] == ["theirs"]
    assert world.scorer is None
    world.container.open_remote_scorer.override(
        providers.Callable(lambda url, model: FakeScorer(served_as(model)))
    )
    job = world.evaluate(served + "exams: [{name: fake, path: there, shots: 0}]\n")
    assert world.work(job).status is JobStatus.SUCCEEDED
    assert world.results(job)["evaluations"][0]["models"]["theirs"]["overall"]["items"] == 12
    refused = served + "perplexity: [{data: [{path: test.jsonl}]}]\n"
    assert codes(world.evaluate, refused) == ["eval-needs-weights"]


def served_as(name: str) -> ResolvedModel:
    """A model of which only the name is known."""
    return ResolvedModel(label=name, handle=HANDLE, created_at=0.0)
