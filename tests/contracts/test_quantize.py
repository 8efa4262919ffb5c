"""Packed checkpoints that we write: recognised, near the original, trained over."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from domain.errors import HextuneError
from domain.run_spec import ModelSection
from entrypoints.container import make_container
from ports.packing import Packing, PackReport
from tests.contracts.test_trainer import losses, run, spec_text

NO_GPTQ = pytest.mark.skipif(find_spec("gptqmodel") is None, reason="gptqmodel is not installed")


def packed(
    model: Path, target: Path, by: str, *, bits: int = 4, rows: Path | None = None
) -> PackReport:
    container = make_container(str(target.parent / "runs"))
    report: PackReport = container.quantize_model()(
        str(model),
        str(target),
        by=by,
        asked=Packing(bits=bits, group_size=32),
        calibration=str(rows) if rows else None,
        samples=4,
    )
    return report


@pytest.mark.parametrize("by", ["bitsandbytes", pytest.param("gptq", marks=NO_GPTQ)])
def test_a_written_checkpoint_is_near_and_can_be_trained_over(
    by: str, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "packed"
    report = packed(tiny_model, target, by, rows=rows_file)
    assert report.mean_kl < 0.05
    assert report.agreement > 0.5
    container = make_container(str(tmp_path / "runs"))
    handle = container.models().inspect(ModelSection(name=str(target)))
    assert handle.packed is not None
    assert handle.packed.by == by
    text = spec_text(target, rows_file)
    asked = ("precision.mode=mixed", "precision.dtype=bfloat16")
    planned = container.plan_run()(replace(text, overrides=asked))
    _, events = run(container, planned, tmp_path / "run")
    assert losses(events)[6] < losses(events)[1]


def test_fewer_bits_are_smaller_and_further_away(tiny_model: Path, tmp_path: Path) -> None:
    four = packed(tiny_model, tmp_path / "four", "bitsandbytes", bits=4)
    eight = packed(tiny_model, tmp_path / "eight", "bitsandbytes", bits=8)
    assert four.size_bytes < eight.size_bytes < eight.plain_bytes
    assert four.mean_kl > eight.mean_kl


def test_a_run_is_packed_with_its_adapter(
    tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    """What is packed is the tuned model: the adapter is not left behind."""
    container = make_container(str(tmp_path / "runs"))
    planned = container.plan_run()(
        replace(spec_text(tiny_model, rows_file), overrides=("optimizer.learning_rate=0.05",))
    )
    run(container, planned, tmp_path / "run")
    backend = container.models()
    section = ModelSection(name=str(tiny_model), adapters=(str(tmp_path / "run" / "model"),))
    packer = container.packer("bitsandbytes")
    settings = packer.settings(Packing(bits=8), ())
    tuned = backend.pack(backend.inspect(section), str(tmp_path / "packed"), settings)
    assert tuned.mean_kl < 0.02
    config = json.loads((tmp_path / "packed" / "config.json").read_text())
    assert config["quantization_config"]["load_in_8bit"]
    assert not (tmp_path / "packed" / "adapter_config.json").exists()


@pytest.mark.parametrize(
    ("by", "bits", "code"),
    [
        ("aqlm", 4, "quantizer-only-reads"),
        ("bitsandbytes", 3, "quantizer-bits"),
        ("bitsandbites", 4, "spec-unknown-name"),
    ],
)
def test_what_cannot_be_written_is_refused_before_loading(
    by: str, bits: int, code: str, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(HextuneError) as caught:
        packed(tiny_model, tmp_path / "packed", by, bits=bits)
    assert caught.value.problems[0].code == code


@pytest.mark.skipif(find_spec("gptqmodel") is not None, reason="gptqmodel is installed")
def test_gptq_says_what_to_install(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(HextuneError, match="gptqmodel"):
        packed(tiny_model, tmp_path / "packed", "gptq")


def test_packed_weights_are_not_packed_again(tiny_model: Path, tmp_path: Path) -> None:
    packed(tiny_model, tmp_path / "once", "bitsandbytes")
    with pytest.raises(HextuneError, match="packed by bitsandbytes already"):
        packed(tmp_path / "once", tmp_path / "twice", "bitsandbytes")
    with pytest.raises(HextuneError, match="once"):
        packed(tiny_model, tmp_path / "once", "bitsandbytes")
