"""Sampling defaults are the API's own, and a resolved model answers under the right names."""

from dataclasses import replace

from domain.conversation import Conversation
from domain.dataset import DatasetKind
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, Sampling, TextDelta
from domain.stage import TrainingStage
from tests.fakes.models import HANDLE


def test_nothing_asked_for_means_the_apis_defaults() -> None:
    request = GenerationRequest(model="m", conversation=Conversation(()))
    assert request.sampling == Sampling(
        temperature=1.0, top_p=1.0, max_tokens=None, stop=(), seed=None
    )


def test_only_the_last_piece_says_why_it_ends() -> None:
    assert TextDelta(text="a").finish_reason is None


def test_a_plain_model_is_served_under_its_label_alone() -> None:
    served = ResolvedModel(label="fake", handle=HANDLE, created_at=0.0).served()
    assert [(model.name, model.base, model.adapter) for model in served] == [("fake", "fake", None)]


def test_an_adapter_can_be_switched_off_by_asking_for_the_base() -> None:
    tuned = replace(HANDLE, adapters=("/runs/a/model",))
    served = ResolvedModel(label="run-a", handle=tuned, created_at=5.0).served()
    assert [(model.name, model.base, model.adapter) for model in served] == [
        ("run-a", "fake", "/runs/a/model"),
        ("fake", "fake", None),
    ]
    assert {model.created_at for model in served} == {5.0}


def test_a_stage_says_what_it_may_follow() -> None:
    def stage(name: str, *follows: str) -> TrainingStage:
        return TrainingStage(
            name=name,
            title=name,
            eats=DatasetKind.CONVERSATION,
            yields="chat_model",
            follows=frozenset(follows),
        )

    assert stage("dpo", "sft").may_follow(stage("sft"))
    assert not stage("sft", "pretrain").may_follow(stage("dpo"))
