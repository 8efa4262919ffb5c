"""Completions, tokens and embeddings over HTTP, held against the network's own numbers."""

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import BadRequestError
from openai.types import Completion, CreateEmbeddingResponse

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from entrypoints.http_api.schema.completion_fields import COMPLETION_FIELDS
from entrypoints.http_api.schema.completions import CompletionBody, read_completion
from entrypoints.http_api.schema.fields import Treatment
from entrypoints.http_api.schema.texts import EMBEDDING_FIELDS, EmbeddingBody
from tests.doors.http_server import client, echo_engine, serving
from tests.doors.openai_spec import fields_of

TEXT = "What is the capital of the question?"


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Any:
    """(network, tokenizer) read by transformers itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    return network.eval(), AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def address(tiny_model: Path) -> Iterator[str]:
    catalog = FolderCatalog()
    handle = HfModelBackend(catalog).inspect(ModelSection(name=str(tiny_model)))
    resolved = ResolvedModel(label="tiny", handle=handle, created_at=0.0)
    engine = catalog.part("engines", "transformers").Engine(resolved, TorchHardware().probe())
    with serving(engine) as url:
        yield url
    engine.close()


def logps(tiny: Any, ids: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return tiny[0](torch.tensor([ids])).logits[0].log_softmax(-1)


def complete(address: str, prompt: Any, **fields: Any) -> Completion:
    answer: Completion = client(address).completions.create(
        model="tiny", prompt=prompt, **{"max_tokens": 6, "temperature": 0, **fields}
    )
    return answer


def test_echoed_logprobs_are_the_networks_own(address: str, tiny: Any) -> None:
    prompts = [tiny[1](text)["input_ids"] for text in (TEXT, "In short: it is.", TEXT * 20)]
    answer = complete(address, prompts, max_tokens=1, echo=True, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    for choice, ids in zip(answer.choices, prompts, strict=True):
        told, expected = choice.logprobs, logps(tiny, ids)
        assert told is not None
        assert told.token_logprobs is not None
        assert told.top_logprobs is not None
        assert told.token_logprobs[0] is None
        assert len(told.token_logprobs) == len(ids) + 1
        for place in range(1, len(ids)):
            assert told.token_logprobs[place] == pytest.approx(
                float(expected[place - 1, ids[place]]), abs=1e-4
            )
            best = max(told.top_logprobs[place].values())
            assert best == pytest.approx(float(expected[place - 1].max()), abs=1e-4)
        assert choice.text.startswith(tiny[1].decode(ids))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(map(len, prompts))
    assert answer.usage.completion_tokens == 3


def test_no_token_need_be_drawn(address: str, tiny: Any) -> None:
    (choice,) = complete(address, TEXT, max_tokens=0, echo=True, logprobs=0).choices
    assert choice.text == TEXT
    assert choice.logprobs is not None
    assert len(choice.logprobs.tokens or []) == len(tiny[1](TEXT)["input_ids"])
    assert "".join(choice.logprobs.tokens or []) == TEXT
    told = zip(choice.logprobs.text_offset or [], choice.logprobs.tokens or [], strict=True)
    assert all(TEXT[at:].startswith(each) for at, each in told)


def test_the_greedy_continuation_is_generates(address: str, tiny: Any) -> None:
    import torch

    ids = torch.tensor([tiny[1](TEXT)["input_ids"]])
    whole = tiny[0].generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)
    expected = tiny[1].decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert complete(address, TEXT, max_tokens=12).choices[0].text == expected


def test_prompts_and_choices_are_numbered_together(address: str) -> None:
    answer = complete(address, ["a", "b"], n=2, temperature=1, seed=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert complete(address, ["a", "b"], n=2, temperature=1, seed=3).choices == answer.choices


@settings(max_examples=12, deadline=None)
@given(text=st.text(min_size=1, max_size=12), echo=st.booleans(), seed=st.integers(0, 99))
def test_streamed_pieces_join_to_the_whole(address: str, text: str, echo: bool, seed: int) -> None:
    fields: dict[str, Any] = {"temperature": 1.5, "seed": seed, "echo": echo, "logprobs": 2}
    (whole,) = complete(address, text, **fields).choices
    chunks: Any = complete(address, text, stream=True, **fields)
    pieces = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(piece.text for piece in pieces) == whole.text
    assert pieces[-1].finish_reason == whole.finish_reason
    told = [each for p in pieces if p.logprobs for each in p.logprobs.token_logprobs]
    assert whole.logprobs is not None
    assert told == whole.logprobs.token_logprobs


def test_a_stream_ends_with_the_tokens_where_asked(address: str) -> None:
    chunks: Any = complete(address, "ab", stream=True, stream_options={"include_usage": True})
    *_, last = chunks
    assert last.choices == []
    assert last.usage.completion_tokens == 6


@pytest.mark.parametrize(("field", "value"), [("suffix", "x"), ("best_of", 2), ("user", "me")])
def test_what_is_not_done_is_refused_by_name(address: str, field: str, value: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        complete(address, "a", **{field: value})
    assert caught.value.body["param"] == field  # type: ignore[index]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "prompt-none": ({"prompt": []}, "prompt"),
    "prompt-mixed": ({"prompt": ["a", [1]]}, "prompt"),
    "prompt-empty-ids": ({"prompt": [[]]}, "prompt"),
    "prompt-negative": ({"prompt": [-1]}, "prompt[0].list[constrained-int][0]"),
    "too-many": ({"prompt": ["a"] * 65, "n": 2}, "prompt"),
    "logprobs": ({"prompt": "a", "logprobs": 6}, "logprobs"),
    "no-token": ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    "bias": ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
    "bias-high": ({"prompt": "a", "logit_bias": {"5": 101}}, "logit_bias[5]"),
}


@pytest.mark.parametrize(("fields", "where"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_told_with_its_place(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(HextuneError) as caught:
        read_completion({"model": "tiny", **fields})
    found = {each.place.field for each in caught.value.problems}
    assert where in found or any(str(each).startswith("prompt[0]") for each in found)


def test_an_id_beyond_the_vocabulary_is_refused(address: str) -> None:
    for fields in ({"prompt": [99999]}, {"prompt": "a", "logit_bias": {"99999": 1}}):
        reply = httpx.post(f"{address}/v1/completions", json={"model": "tiny", **fields})
        assert reply.status_code == 400
        assert "99999" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "fields", "body"),
    [
        ("CreateCompletionRequest", COMPLETION_FIELDS, CompletionBody),
        ("CreateEmbeddingRequest", EMBEDDING_FIELDS, EmbeddingBody),
    ],
)
def test_every_field_of_openais_api_is_classified(name: str, fields: Any, body: Any) -> None:
    named = {each for each, rule in fields.items() if rule.treatment is Treatment.HONOURED}
    assert named == set(body.model_fields)
    assert set(fields) == fields_of(name)


def test_tokens_there_and_back(address: str, tiny: Any) -> None:
    reply = httpx.post(f"{address}/tokenize", json={"prompt": "héllo <|im_end|>"}).json()
    assert reply["tokens"] == tiny[1]("héllo <|im_end|>")["input_ids"]
    assert (reply["count"], reply["max_model_len"]) == (len(reply["tokens"]), 512)
    back = httpx.post(f"{address}/detokenize", json={"model": "tiny", "tokens": reply["tokens"]})
    assert back.json() == {"prompt": "héllo <|im_end|>"}
    said = [{"role": "user", "content": "hi"}]
    rendered = httpx.post(f"{address}/tokenize", json={"messages": said}).json()["tokens"]
    expected = tiny[1].apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    assert tiny[1].decode(rendered) == expected
    wrong = httpx.post(f"{address}/tokenize", json={"prompt": "a", "messages": said})
    assert wrong.status_code == 400


def test_embeddings_are_normalised_means(address: str, tiny: Any) -> None:
    import torch

    texts = [TEXT, "In short"]
    answer = client(address).embeddings.create(model="tiny", input=texts, encoding_format="float")
    for text, found in zip(texts, answer.data, strict=True):
        ids = torch.tensor([tiny[1](text)["input_ids"]])
        with torch.no_grad():
            mean = tiny[0](ids, output_hidden_states=True).hidden_states[-1][0].mean(0)
        expected = (mean / mean.norm()).tolist()
        assert found.embedding == pytest.approx(expected, abs=1e-5)
    body = {"model": "tiny", "input": texts, "encoding_format": "base64"}
    packed = httpx.post(f"{address}/v1/embeddings", json=body).json()
    raw = base64.b64decode(packed["data"][1]["embedding"])
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(answer.data[1].embedding)
    CreateEmbeddingResponse.model_validate(answer.to_dict(), strict=True)


def test_an_engine_without_tokens_says_so() -> None:
    with serving(echo_engine()) as address:
        body = {"model": "echo-run", "input": "a"}
        for reply in (
            httpx.post(f"{address}/v1/embeddings", json=body),
            httpx.post(f"{address}/tokenize", json={"prompt": "a"}),
        ):
            assert reply.status_code == 400
            assert reply.json()["error"]["code"] == "engine-cannot"
