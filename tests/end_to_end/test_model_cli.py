"""tune model families and convert, and tune quantize, as a person types them."""

import json
from pathlib import Path

from tests.contracts.originals import ORIGINALS
from tests.contracts.test_conversions import write
from tests.end_to_end.test_cli import tune

INTERNLM = next(original for original in ORIGINALS if original.config["model_type"] == "internlm")


def test_families_are_listed_and_shown(tmp_path: Path) -> None:
    table = tune(tmp_path, "model", "families").stdout.splitlines()
    assert any(line.split()[:2] == ["llama3", "llama"] for line in table)
    one = tune(tmp_path, "model", "families", "qwen2_5", "--json")
    assert json.loads(one.stdout)["qwen2_5"]["model_type"] == ["qwen2"]
    wrong = tune(tmp_path, "model", "families", "qwen2_6")
    assert wrong.returncode == 2
    assert "qwen2_5" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_checkpoint_is_converted_once(tmp_path: Path) -> None:
    source = write(INTERNLM, tmp_path / "theirs")
    done = tune(tmp_path, "model", "convert", str(source), "ours", "--json")
    report = json.loads(done.stdout)
    assert (report["source_type"], report["architecture"]) == ("internlm", "LlamaForCausalLM")
    assert (tmp_path / "ours" / "model.safetensors").is_file()
    again = tune(tmp_path, "model", "convert", str(source), "ours")
    assert again.returncode == 2
    assert "hint:" in again.stderr


def test_a_model_is_packed_and_the_packed_one_chats(tiny_model: Path, tmp_path: Path) -> None:
    made = tune(
        tmp_path, "quantize", str(tiny_model), "--with", "bitsandbytes", "--output", "packed"
    )
    assert made.returncode == 0, made.stderr
    assert "of the original" in made.stdout
    said = tune(tmp_path, "chat", "packed", "--ask", "Hi?", "--max-tokens", "4", "--json")
    assert said.returncode == 0, said.stderr
    refused = tune(tmp_path, "quantize", str(tiny_model), "--with", "aqlm", "--output", "other")
    assert refused.returncode == 2
    assert "bitsandbytes, gptq" in refused.stderr
