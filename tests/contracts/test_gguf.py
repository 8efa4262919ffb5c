"""GGUF files as models to start from: unpacked once, and refused with a reason."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.catalog import FolderCatalog
from adapters.models.hf import HfModelBackend, load_network, tokenizer_of
from domain.errors import HextuneError, Problem
from domain.run_spec import ModelSection
from tests.fixtures.tiny_gguf import build_tiny_gguf

BACKEND = HfModelBackend(FolderCatalog())


@pytest.fixture(scope="module")
def file(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_gguf(tiny_model, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HEXTUNE_CACHE", str(folder))
    return folder


def refused(name: Path | str) -> Problem:
    with pytest.raises(HextuneError) as caught:
        BACKEND.inspect(ModelSection(name=str(name)))
    (problem,) = caught.value.problems
    assert problem.place.field == "model.name"
    return problem


def test_it_is_the_model_it_was_made_of(tiny_model: Path, file: Path) -> None:
    handle = BACKEND.inspect(ModelSection(name=str(file)))
    assert (handle.name, handle.dtype, handle.context_tokens) == (str(file), "float32", 512)
    assert handle.has_chat_template
    ids: Any = torch.arange(3, 43)[None]
    with torch.no_grad():
        ours = load_network(handle, dtype="float32").eval()(input_ids=ids).logits
        theirs = AutoModelForCausalLM.from_pretrained(tiny_model).eval()(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    talk = [{"role": "user", "content": "What is the capital?"}]
    own, original = tokenizer_of(handle), AutoTokenizer.from_pretrained(tiny_model)
    assert own.apply_chat_template(talk) == original.apply_chat_template(talk)


def test_it_is_unpacked_once_and_anew_when_the_file_changes(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    moved = Path(shutil.copy(file, tmp_path / "mine.gguf"))
    first = BACKEND.inspect(ModelSection(name=str(moved)))
    assert capfd.readouterr().err.count("unpacking mine.gguf") == 1
    assert BACKEND.inspect(ModelSection(name=str(moved))) == first
    assert "unpacking" not in capfd.readouterr().err
    os.utime(moved, (1, 1))
    assert BACKEND.inspect(ModelSection(name=str(moved))).path != first.path


def test_a_missing_file_is_no_model(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.gguf").code == "model-missing"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.05, 0.2, 0.9, 0.999])
def test_a_file_cut_short_is_damaged(file: Path, tmp_path: Path, cache: Path, share: float) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(share * len(whole))])
    assert refused(cut).code == "model-gguf-damaged"
    assert not [path for path in cache.rglob("*") if path.is_dir() and path.name != "models"]


def test_a_file_of_something_else_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model at all, and long enough to be read as a header")
    assert refused(tmp_path / "text.gguf").code == "model-gguf-damaged"


def test_a_file_without_all_weights_is_damaged(tiny_model: Path, tmp_path: Path) -> None:
    part = build_tiny_gguf(tiny_model, tmp_path / "part.gguf", without="blk.1.ffn_up.weight")
    problem = refused(part)
    assert problem.code == "model-gguf-damaged"
    assert problem.facts["reason"] == "it lacks model.layers.1.mlp.up_proj.weight"


def test_an_unknown_architecture_is_named(tiny_model: Path, tmp_path: Path) -> None:
    other = build_tiny_gguf(tiny_model, tmp_path / "other.gguf", architecture="rwkv7")
    problem = refused(other)
    assert (problem.code, problem.facts["architecture"]) == ("model-gguf-unfit", "rwkv7")
