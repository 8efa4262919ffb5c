"""New tokens: how their rows start, that they learn, and that all who read the result see them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dependency_injector import providers
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.models.attaching import attached, check_adapter
from adapters.models.hf import load_network, tokenizer_of
from domain.errors import HextuneError
from domain.job import Job, JobStatus
from domain.model_handle import ModelHandle
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from tests.contracts.test_trainer import spec_text
from tests.fakes.processes import FakeLauncher

NEW = {"<plus>": None, "<capital>": "the capital"}
PARTS = ["embed_tokens", "lm_head"]


@pytest.fixture
def container(tmp_path: Path) -> Container:
    made = make_container(str(tmp_path / "runs"))
    made.launcher.override(providers.Object(FakeLauncher()))
    return made


@pytest.fixture
def handle(container: Container, tiny_model: Path) -> ModelHandle:
    found: ModelHandle = container.models().inspect(
        ModelSection(name=str(tiny_model), new_tokens=NEW)
    )
    return found


@pytest.fixture
def tied(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with its head tied to the embeddings."""
    network = AutoModelForCausalLM.from_pretrained(tiny_model, tie_word_embeddings=True)
    network.save_pretrained(tmp_path / "tied")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "tied")
    return tmp_path / "tied"


def rows(network: Any) -> list[Any]:
    return [
        part.weight.detach()
        for part in (network.get_input_embeddings(), network.get_output_embeddings())
    ]


def test_rows_start_near_a_mean_and_apart_and_old_ones_stay(
    handle: ModelHandle, tiny_model: Path
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    network = load_network(handle, dtype="float32")
    words = AutoTokenizer.from_pretrained(tiny_model)("the capital")["input_ids"]
    old = rows(plain)[0].shape[0]
    for new, before in zip(rows(network), rows(plain), strict=True):
        assert torch.equal(new[:old], before)
        assert new.shape[0] == handle.vocabulary == old + 2
        off = torch.stack([new[old] - before[words].mean(0), new[old + 1] - before.mean(0)])
        assert off.std(dim=1) * 64**0.5 == pytest.approx(torch.ones(2), abs=0.35)
        assert (off.mean(dim=1).abs() < 3 / 64).all()
        assert not torch.allclose(off[0], off[1], atol=0.05)
    again = load_network(handle, dtype="float32")
    assert all(torch.equal(*pair) for pair in zip(rows(network), rows(again), strict=True))
    assert handle.parameters == sum(weight.numel() for weight in network.parameters())
    assert list(handle.token_parts) == PARTS


def test_ties_are_kept(container: Container, tied: Path) -> None:
    found = container.models().inspect(ModelSection(name=str(tied), new_tokens=NEW))
    network = load_network(found, dtype="float32")
    assert list(found.token_parts) == ["embed_tokens"]
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    assert found.parameters == sum(weight.numel() for weight in network.parameters())


def test_a_token_in_a_message_is_one_token(container: Container, handle: ModelHandle) -> None:
    (row,) = container.models().encoder(handle).encode_texts(["one<plus>two"])
    tokenizer = tokenizer_of(handle)
    assert tokenizer.convert_tokens_to_ids("<plus>") in row.input_ids
    assert tokenizer.decode(row.input_ids, skip_special_tokens=True).startswith("one<plus>two")


@pytest.fixture
def train(container: Container, tmp_path: Path) -> Callable[..., Job]:
    file = tmp_path / "new.jsonl"
    line = '{"instruction": "What is <capital>?", "output": "In short: it is <plus>."}\n'
    file.write_text(line * 8, encoding="utf-8")

    def run(model: Path, method: dict[str, Any]) -> Job:
        section = {"name": str(model), "new_tokens": NEW}
        job = container.start_run()(spec_text(model, file, model=section, method=method))
        done: Job = container.execute_run()(job.id, resume=False, stop_asked=lambda: False)
        assert done.status is JobStatus.SUCCEEDED
        return done

    return run


@pytest.mark.parametrize("kind", ["apart", "tied"])
def test_a_lora_run_learns_them_and_is_merged_with_them(
    container: Container,
    train: Callable[..., Job],
    request: pytest.FixtureRequest,
    tiny_model: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    model = tiny_model if kind == "apart" else request.getfixturevalue("tied")
    extra = PARTS if kind == "apart" else PARTS[:1]
    job = train(model, {"name": "lora", "rank": 4, "extra": extra})
    found = container.resolve_model()(job.id).handle
    check_adapter(found.adapters[0], replace(found, adapters=()))
    network = attached(load_network(found, dtype="float32"), found.adapters).eval()
    tokenizer = tokenizer_of(found)
    new = tokenizer.convert_tokens_to_ids(list(NEW))
    ids = torch.tensor([[5, new[0], 9, new[1], 7]])
    with torch.no_grad():
        trained = network(input_ids=ids).logits
        started = load_network(found, dtype="float32").eval()(input_ids=ids).logits
    assert not torch.allclose(trained[..., new], started[..., new], atol=1e-2)
    report = container.merge_model()(job.id, str(tmp_path / "merged"), "float32", None)
    merged = container.models().inspect(ModelSection(name=report.folder))
    assert merged.new_tokens == ()
    assert tokenizer_of(merged).convert_tokens_to_ids(list(NEW)) == new
    with torch.no_grad():
        ours = load_network(merged, dtype="float32").eval()(input_ids=ids).logits
    assert torch.allclose(ours, trained, atol=1e-4)


def test_a_whole_model_is_saved_with_them(
    container: Container, train: Callable[..., Job], tiny_model: Path, handle: ModelHandle
) -> None:
    job = train(tiny_model, {"name": "full"})
    saved = container.resolve_model()(job.id).handle
    assert saved.vocabulary == handle.vocabulary
    assert tokenizer_of(saved).convert_tokens_to_ids(sorted(NEW)) == [
        saved.vocabulary - 2,
        saved.vocabulary - 1,
    ]
    before, after = (rows(load_network(one, dtype="float32"))[0] for one in (handle, saved))
    assert not torch.allclose(before[-2:], after[-2:], atol=1e-3)


@pytest.mark.parametrize(
    ("tokens", "method", "code"),
    [
        ({"<|im_end|>": None}, {"name": "full"}, "model-token-known"),
        ({" ": None}, {"name": "full"}, "model-token-known"),
        (NEW, {"name": "lora"}, "rule-new-tokens-frozen"),
        (NEW, {"name": "loha"}, "rule-new-tokens-frozen"),
    ],
)
def test_what_is_not_new_or_would_not_learn_is_refused(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tokens: dict[str, str | None],
    method: dict[str, Any],
    code: str,
) -> None:
    section = {"name": str(tiny_model), "new_tokens": tokens}
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(spec_text(tiny_model, rows_file, model=section, method=method))
    assert [problem.code for problem in caught.value.problems] == [code]
