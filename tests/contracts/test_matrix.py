"""The compatibility matrix, executed: what fits is trained, what is refused names its rule."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from domain.error_texts import TEXTS
from domain.features import FEATURES, Feature, Verdict
from entrypoints.container import Container, make_container
from entrypoints.services.method_matrix import combined
from ports.spec_reader import SpecText
from tests.contracts.test_trainer import losses, run

METHODS = FolderCatalog().names("methods")
CELLS = [(method, feature) for method in METHODS for feature in FEATURES]
REFUSED = {
    (method, feature): "rule-quantized-needs-adapter"
    for method in ("freeze", "full", "llama_pro", "loha", "lokr")
    for feature in ("4 bits", "8 bits")
} | {
    (method, feature): rule
    for method in METHODS
    for feature, rule in (
        ("flash attention", "rule-attention-unavailable"),
        ("Liger", "rule-kernels-unavailable"),
        ("Unsloth", "rule-kernels-unavailable"),
    )
}
REFUSED |= {("adalora", feature): "rule-parallel-method" for feature in ("DDP", "ZeRO-2")} | {
    (method, feature): "rule-parallel-method"
    for method in METHODS
    for feature in ("ZeRO-3", "FSDP2")
    if method not in ("lora", "full", "freeze")
}
REFUSED |= {("continued", feature.name): "rule-nothing-to-continue" for feature in FEATURES}
"""What planning refuses on a CPU, where the reference model has no adapters."""

RANKS = ("DDP", "ZeRO-2", "ZeRO-3", "FSDP2")


RATES = {"adalora": 0.05, "ia3": 0.03}
"""Methods whose first small steps vanish in bfloat16's rounding: weights that begin at 1, and an
adapter that begins as zero times a rank it is divided by."""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return make_container(str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def reference(tiny_model: Path, rows_file: Path) -> SpecText:
    spec = {
        "model": {"name": str(tiny_model)},
        "data": {"train": [{"path": str(rows_file)}], "max_tokens": 150},
        "optimizer": {"learning_rate": 0.001},
        "schedule": {"max_steps": 4, "scheduler": "constant", "warmup_steps": 0},
        "batching": {"per_device": 12},
    }
    return SpecText(text=json.dumps(spec), format="json", source="test")


@pytest.mark.parametrize(
    ("method", "feature"), CELLS, ids=[f"{method}-{feature.name}" for method, feature in CELLS]
)
def test_what_fits_learns(
    container: Container, reference: SpecText, tmp_path: Path, method: str, feature: Feature
) -> None:
    if (method, feature.name) in REFUSED:
        pytest.skip("refused; see the next test")
    if feature.name in RANKS:
        pytest.skip("ranks are started in test_parallel.py")
    if feature.name.endswith("bits"):
        pytest.importorskip("bitsandbytes")
    text = combined(reference, method, feature)
    if method in RATES:
        rate = f"optimizer.learning_rate={RATES[method]}"
        text = replace(text, overrides=(*text.overrides, rate))
    if feature.name == "NEFTune":  # a training loss is mostly noise here; evaluation has none
        text = replace(text, overrides=(*text.overrides, "data.eval_fraction=0.25"))
    planned = container.plan_run()(text)
    outcome, events = run(container, planned, tmp_path / "run")
    if feature.name == "NEFTune":
        first, last = (outcome.results[f"{each}_eval_loss"] for each in ("first", "last"))
    else:
        first, last = (losses(events)[step] for step in (1, 4))
    assert float(last) < float(first)  # type: ignore[arg-type]


def test_what_is_refused_names_its_rule(container: Container, reference: SpecText) -> None:
    cells = list(container.method_matrix()(reference))
    assert [(cell.method, cell.feature) for cell in cells] == [(m, f.name) for m, f in CELLS]
    refused = {
        (cell.method, cell.feature): cell.rules[0]
        for cell in cells
        if cell.verdict is Verdict.REFUSED
    }
    assert refused == REFUSED
    assert set(refused.values()) <= TEXTS.keys()
