"""Converted checkpoints compute what their own code computes, and what fits nothing says so."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.models.converting import HfModelConverter
from adapters.models.hf import HfModelBackend
from domain.errors import HextuneError, Problem
from domain.run_spec import ModelSection
from tests.contracts.original_networks import Original
from tests.contracts.originals import ORIGINALS
from tests.fixtures.tiny_model import tiny_tokenizer

CATALOG = FolderCatalog()
BY_NAME = {original.name: original for original in ORIGINALS}
UNFIT: dict[str, dict[str, Any]] = {
    "yuan": {"model_type": "yuan"},
    "baichuan-13b": {"model_type": "baichuan", "model_max_length": 4096, "hidden_size": 5120},
    "chatglm-32k": {**BY_NAME["chatglm"].config, "rope_ratio": 50},
    "chatglm-first": {"model_type": "chatglm", "position_encoding_2d": True},
    "telechat-1b": {**BY_NAME["telechat-7B"].config, "n_layer": 24},
    "skywork-ntk": {
        **BY_NAME["skywork"].config, "rope_scaling": {"type": "ntk", "factor": 2.0}
    },
    "qwen-int4": {**BY_NAME["qwen"].config, "quantization_config": {"bits": 4}},
    "qwen-half": {**BY_NAME["qwen"].config, "rotary_pct": 0.5},
}  # fmt: skip


def write(original: Original, folder: Path, *, shards: int = 1, pickled: bool = False) -> Path:
    """The checkpoint as its authors would publish it."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    weights = original.weights()
    (folder / "config.json").write_text(json.dumps(original.config))
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}')
    (folder / "modeling_own.py").write_text("raise SystemExit")
    if pickled:
        torch.save(weights, folder / "pytorch_model.bin")
        return folder
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return folder
    mapped: dict[str, str] = {}
    for number in range(shards):
        part = dict(list(weights.items())[number::shards])
        save_file(part, folder / f"model-{number}.safetensors")
        mapped |= dict.fromkeys(part, f"model-{number}.safetensors")
    index = json.dumps({"metadata": {}, "weight_map": mapped})
    (folder / "model.safetensors.index.json").write_text(index)
    return folder


def logits(folder: Path, ids: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return network(input_ids=ids[None]).logits[0]


def refused(source: Path, target: Path) -> Problem:
    with pytest.raises(HextuneError) as caught:
        HfModelConverter(CATALOG).convert(str(source), str(target))
    return caught.value.problems[0]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda each: each.name)
def test_a_converted_checkpoint_gives_the_published_networks_logits(
    original: Original, tmp_path: Path
) -> None:
    import torch

    source = write(original, tmp_path / "own")
    report = HfModelConverter(CATALOG).convert(str(source), str(tmp_path / "native"))
    ids = torch.randint(V_SMALL, (24,), generator=torch.Generator().manual_seed(1))
    expected = original.forward(original.weights(), ids)
    found = logits(tmp_path / "native", ids)
    assert float(expected.std()) > 0.05
    assert float((found - expected).abs().max()) < 2e-4 * float(expected.abs().max())
    assert report.source_type == original.config["model_type"]
    config = json.loads((tmp_path / "native" / "config.json").read_text())
    assert config["architectures"] == [report.architecture]
    assert "auto_map" not in config
    assert not list((tmp_path / "native").glob("*.py"))


V_SMALL = 384


def test_every_conversion_is_proved_or_refuses_always() -> None:
    proved = {original.config["model_type"] for original in ORIGINALS}
    assert set(CATALOG.names("conversions")) - proved == {"yuan"}


def test_shards_are_read_and_written_one_by_one(tmp_path: Path) -> None:
    import torch

    original = BY_NAME["skywork"]
    source = write(original, tmp_path / "own", shards=3)
    converter = HfModelConverter(CATALOG, shard_bytes=60_000)
    report = converter.convert(str(source), str(tmp_path / "native"))
    files = sorted((tmp_path / "native").glob("model-*.safetensors"))
    index = json.loads((tmp_path / "native" / "model.safetensors.index.json").read_text())
    assert len(files) == report.shards > 3
    assert set(index["weight_map"].values()) == {file.name for file in files}
    # a shard is closed by the tensor that fills it, so it holds less than one tensor more
    assert max(file.stat().st_size for file in files) < 60_000 + 384 * 64 * 4 + 2_000
    ids = torch.arange(12)
    expected = original.forward(original.weights(), ids)
    assert torch.allclose(logits(tmp_path / "native", ids), expected, atol=1e-3)


def test_weights_are_unpickled_as_weights_alone(tmp_path: Path) -> None:
    import torch

    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "harm"),))

    original = BY_NAME["skywork"]
    good = write(original, tmp_path / "good", pickled=True)
    HfModelConverter(CATALOG).convert(str(good), str(tmp_path / "native"))
    assert (tmp_path / "native" / "model.safetensors").exists()
    bad = write(original, tmp_path / "bad", pickled=True)
    torch.save({"model.norm.weight": Harm()}, bad / "pytorch_model.bin")
    assert refused(bad, tmp_path / "refused").code == "model-unreadable"
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", UNFIT)
def test_what_fits_no_native_class_says_why_and_what_instead(name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    source.mkdir()
    (source / "config.json").write_text(json.dumps({**UNFIT[name], "auto_map": {}}))
    found = refused(source, tmp_path / "native")
    assert found.code == "convert-unfit"
    assert not (tmp_path / "native").exists()
    with pytest.raises(HextuneError) as caught:
        HfModelBackend(CATALOG).inspect(ModelSection(name=str(source)))
    assert caught.value.problems[0].code == "convert-unfit"


def test_the_successor_is_named(tmp_path: Path) -> None:
    source = tmp_path / "chatglm3-6b-32k"
    source.mkdir()
    (source / "config.json").write_text(json.dumps(UNFIT["chatglm-32k"]))
    found = refused(source, tmp_path / "native")
    assert "zai-org/glm-4-9b-chat-hf" in found.hint
    assert "rope_ratio" in found.message


def test_loading_what_could_be_converted_says_how(tmp_path: Path) -> None:
    source = write(BY_NAME["internlm2"], tmp_path / "own")
    with pytest.raises(HextuneError) as caught:
        HfModelBackend(CATALOG).inspect(ModelSection(name=str(source)))
    found = caught.value.problems[0]
    assert (found.code, found.place.field) == ("model-convertible", "model.name")
    assert f"tune model convert {source}" in found.hint


def test_a_converted_checkpoint_is_a_model_like_any_other(tmp_path: Path) -> None:
    source = write(BY_NAME["internlm2"], tmp_path / "own")
    tiny_tokenizer().save_pretrained(source)
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings |= {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    report = HfModelConverter(CATALOG).convert(str(source), str(tmp_path / "native"))
    assert report.tokenizer == "PreTrainedTokenizerFast"
    assert (tmp_path / "native" / "generation_config.json").exists()
    handle = HfModelBackend(CATALOG).inspect(ModelSection(name=str(tmp_path / "native")))
    assert (handle.family, handle.architecture) == ("llama", "LlamaForCausalLM")
    assert handle.has_chat_template


def test_a_tokenizer_that_only_its_code_reads_is_reported(tmp_path: Path) -> None:
    source = write(BY_NAME["qwen"], tmp_path / "own")
    (source / "qwen.tiktoken").write_text("IQ== 0\n")
    report = HfModelConverter(CATALOG).convert(str(source), str(tmp_path / "native"))
    assert report.tokenizer is None
    assert (tmp_path / "native" / "qwen.tiktoken").exists()


def test_missing_weights_are_noticed_and_leave_no_model(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    original = BY_NAME["qwen"]
    source = write(original, tmp_path / "own")
    weights = original.weights()
    del weights["transformer.h.1.mlp.w1.weight"]
    save_file(weights, source / "model.safetensors")
    found = refused(source, tmp_path / "native")
    assert found.code == "convert-incomplete"
    assert found.facts["names"] == "model.layers.1.mlp.up_proj.weight"
    assert not (tmp_path / "native" / "config.json").exists()


def test_mistakes_of_a_user_are_told_apart(tiny_model: Path, tmp_path: Path) -> None:
    target = tmp_path / "native"
    assert refused(tiny_model, target).code == "convert-native"
    assert refused(tmp_path / "nothing", target).code == "convert-source"
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "config.json").write_text('{"model_type": "its_own"}')
    assert refused(strange, target).code == "convert-unfit"
    (strange / "config.json").write_text('{"model_type": "skywork"')
    assert refused(strange, target).code == "model-unreadable"
    (strange / "config.json").write_text('{"model_type": "orion"}')
    assert refused(strange, target).facts["reason"] == "config.json lacks 'num_attention_heads'"
    source = write(BY_NAME["skywork"], tmp_path / "own")
    target.mkdir()
    (target / "kept.txt").write_text("mine")
    assert refused(source, target).code == "file-exists"
