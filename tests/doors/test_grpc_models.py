"""ModelService and GenerationService over loopback."""

import asyncio
import threading
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest

from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, Sampling, ServedModel, TextDelta
from entrypoints.grpc_api.generated.hextune.v1 import generation_pb2, models_pb2
from ports.spec_reader import SpecText
from tests.doors.grpc_fixtures import connected, create, echo_engine, failure
from tests.fakes.container import SPEC, fake_container
from tests.fakes.models import CPU, HANDLE

USER = generation_pb2.Role.ROLE_USER
ASSISTANT = generation_pb2.Role.ROLE_ASSISTANT
SYSTEM = generation_pb2.Role.ROLE_SYSTEM


class EndlessEngine:
    """Implements ports.inference.InferenceBackend: it counts until its iterator is closed."""

    def __init__(self) -> None:
        self.asked: list[GenerationRequest] = []
        self.closed = threading.Event()

    def models(self) -> Sequence[ServedModel]:
        return [ServedModel(name="endless", base="endless", adapter=None, created_at=0.0)]

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        self.asked.append(request)
        try:
            while True:
                yield TextDelta(text="again ")
        finally:
            self.closed.set()

    def close(self) -> None:
        pass


def ask(*turns: tuple[Any, str], **fields: Any) -> generation_pb2.GenerateRequest:
    messages = [generation_pb2.Message(role=role, content=content) for role, content in turns]
    return generation_pb2.GenerateRequest(messages=messages, **fields)


async def test_pieces_join_to_the_answer_and_the_last_says_why() -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        call = client.generation.Generate(ask((SYSTEM, "Be kind."), (USER, "one two three")))
        pieces = [piece async for piece in call]
    assert len(pieces) == 4
    assert "".join(piece.text for piece in pieces) == "one two three"
    assert pieces[-1] == generation_pb2.GenerateResponse(
        finish_reason=generation_pb2.FinishReason.FINISH_REASON_STOP,
        prompt_tokens=5,
        completion_tokens=3,
    )


async def test_the_limit_and_stop_texts_reach_the_engine() -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        request = ask((USER, "one two three four"), max_tokens=2, stop=["four"])
        pieces = [piece async for piece in client.generation.Generate(request)]
    assert "".join(piece.text for piece in pieces) == "one two"
    assert pieces[-1].finish_reason == generation_pb2.FinishReason.FINISH_REASON_LENGTH


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({}, Sampling()),
        (
            {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "stop": ["a", "b"], "seed": 0},
            Sampling(temperature=0, top_p=0.5, max_tokens=9, stop=("a", "b"), seed=0),
        ),
    ],
)
async def test_what_is_not_set_keeps_its_default(
    fields: dict[str, Any], sampling: Sampling
) -> None:
    engine = EndlessEngine()
    async with connected(fake_container(), engine=engine) as client:
        call = client.generation.Generate(ask((USER, "Hi"), **fields))
        await call.read()
        call.cancel()
    (asked,) = engine.asked
    assert asked.model == "endless"
    assert asked.sampling == sampling


async def test_a_client_that_cancels_closes_the_generator() -> None:
    engine = EndlessEngine()
    async with connected(fake_container(), engine=engine) as client:
        call = client.generation.Generate(ask((USER, "Hi")))
        assert (await call.read()).text == "again "
        assert not engine.closed.is_set()
        call.cancel()
        assert await asyncio.to_thread(engine.closed.wait, 5)


async def test_a_deadline_closes_the_generator() -> None:
    engine = EndlessEngine()
    async with connected(fake_container(), engine=engine) as client:
        call = client.generation.Generate(ask((USER, "Hi")), timeout=0.3)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _read_on(call)
        assert await asyncio.to_thread(engine.closed.wait, 5)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def _read_on(call: Any) -> None:
    async for piece in call:
        assert piece.text == "again "


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (ask(), ["messages"]),
        (ask((SYSTEM, "Be kind.")), ["messages"]),
        (ask((ASSISTANT, "Hi")), ["messages[0].role"]),
        (ask((0, "Hi")), ["messages[0].role"]),
        (ask((USER, "Hi"), (USER, "Hi")), ["messages[1].role"]),
        (ask((USER, "Hi"), (ASSISTANT, "Hi")), ["messages"]),
        (ask((SYSTEM, "a"), (USER, "Hi"), (SYSTEM, "b")), ["messages[2].role"]),
        (ask((USER, "Hi"), temperature=-1, top_p=0), ["temperature", "top_p"]),
        (ask((USER, "Hi"), temperature=float("nan")), ["temperature"]),
        (ask((USER, "Hi"), max_tokens=0, stop=[""]), ["max_tokens", "stop"]),
    ],
)
async def test_every_bad_field_is_named(
    request_: generation_pb2.GenerateRequest, fields: list[str]
) -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        failed = await failure(client.generation.Generate(request_))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in failed.violations] == fields


async def test_unknown_models_are_not_found() -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        failed = await failure(client.generation.Generate(ask((USER, "Hi"), model="other")))
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.NOT_FOUND, "model-not-served")
    assert dict(failed.info.metadata) == {"name": "other", "names": "echo"}


async def test_without_an_engine_nothing_is_served() -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.generation.Generate(ask((USER, "Hi"))))
        models = await client.models.ListModels(models_pb2.ListModelsRequest())
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.NOT_FOUND, "model-not-served")
    assert list(models.models) == []


async def test_served_models_come_first_and_finished_runs_follow() -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        job = await client.jobs.CreateJob(create())
        models = (await client.models.ListModels(models_pb2.ListModelsRequest())).models
        got = await client.models.GetModel(models_pb2.GetModelRequest(name=job.id))
    served, made = models
    assert (served.name, served.base, served.served) == ("echo", "fake", True)
    assert not served.HasField("created_at")
    assert (made.name, made.job_id, made.base) == (job.id, job.id, "fake")
    assert (made.has_adapter, made.served) == (True, False)
    assert made.created_at == job.created_at
    assert got == made


async def test_a_served_run_is_listed_once_with_its_base() -> None:
    container = fake_container()
    text = SpecText(text=SPEC, format="yaml", source="spec_text")
    job = container.start_run()(text)
    resolved = ResolvedModel(
        label=job.id, handle=replace(HANDLE, adapters=("/a",)), created_at=job.created_at
    )
    engine = container.catalog().part("engines", "echo").Engine(resolved, CPU)
    async with connected(container, engine=engine) as client:
        models = (await client.models.ListModels(models_pb2.ListModelsRequest())).models
    assert [(m.name, m.job_id, m.served, m.has_adapter) for m in models] == [
        (job.id, job.id, True, True),
        ("fake", "", True, False),
    ]


async def test_models_come_in_pages_and_unknown_ones_are_not_found() -> None:
    container = fake_container()
    async with connected(container, engine=echo_engine(container)) as client:
        job = await client.jobs.CreateJob(create())
        request = models_pb2.ListModelsRequest(page_size=1)
        first = await client.models.ListModels(request)
        request.page_token = first.next_page_token
        second = await client.models.ListModels(request)
        failed = await failure(client.models.GetModel(models_pb2.GetModelRequest(name="none")))
    assert [m.name for m in (*first.models, *second.models)] == ["echo", job.id]
    assert second.next_page_token == ""
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.NOT_FOUND, "model-not-served")
