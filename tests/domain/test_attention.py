"""The attention kernel: what auto takes, and why."""

from dataclasses import replace

import pytest

from domain.attention import choose_attention, obstacle
from domain.hardware import DeviceKind, Hardware
from tests.fakes.models import CPU

A100 = replace(CPU, kind=DeviceKind.CUDA, name="A100", compute_capability=(8, 0))
T4 = replace(A100, name="T4", compute_capability=(7, 5))
FLASH = {"flash-attn": "2.8.3"}


@pytest.mark.parametrize(
    ("hardware", "versions", "compute", "name", "why"),
    [
        (A100, FLASH, "bfloat16", "flash_attention_2", "the fastest"),
        (A100, {}, "bfloat16", "sdpa", "none is installed"),
        (A100, FLASH, "float32", "sdpa", "16 bits"),
        (T4, FLASH, "float16", "sdpa", "capability 8.0, and this is T4"),
        (CPU, FLASH, "float32", "sdpa", "this is fake CPU"),
    ],
)
def test_auto_takes_the_fastest_that_works(
    hardware: Hardware, versions: dict[str, str], compute: str, name: str, why: str
) -> None:
    chosen = choose_attention("auto", hardware, versions, compute)
    assert chosen.name == name
    assert why in chosen.reason


def test_what_was_asked_is_taken_and_an_old_package_is_named() -> None:
    assert choose_attention("s2", CPU, {}, "float32").name == "s2"
    why = obstacle("flash_attention_2", A100, {"flash-attn": "1.0.9"}, "bfloat16")
    assert why is not None
    assert "version 1.0.9 is installed" in why[0]


def test_a_model_takes_only_what_its_layers_can_call() -> None:
    """Attention sinks and ALiBi are in transformers' plain kernels only."""
    chosen = choose_attention("auto", CPU, {}, "float32", able=("eager",))
    assert chosen.name == "eager"
    assert "not sdpa: this model can use only eager" in chosen.reason
    why = obstacle("s2", CPU, {}, "float32", able=("eager", "sdpa"))
    assert why == ("this model can use only eager, sdpa", "Use model.attention=auto")
