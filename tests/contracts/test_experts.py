"""Mixtures of experts: their number, and the router's loss as a part of the loss."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HextuneError
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.spec_reader import SpecText
from tests.contracts.test_trainer import losses, run
from tests.fixtures.tiny_families import attention_of, build_tiny_family

WEIGHT = 0.5
GIVING = ("ernie4_5_moe", "gpt_oss", "minimax", "mixtral", "qwen2_moe", "qwen3_moe")
SILENT = ("deepseek_v2", "deepseek_v3", "granitemoe", "hunyuan_v1_moe")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def plan(container: Container, model: Path, rows: Path, **section: Any) -> Planned:
    spec = {
        "model": {"name": str(model), **section},
        "data": {"train": [{"path": str(rows)}]},
        "method": {"name": "lora", "rank": 4, "targets": ["q_proj", "v_proj"]},
        "schedule": {"max_steps": 1},
        "batching": {"per_device": 2},
        "precision": {"mode": "full"},
    }
    planned: Planned = container.plan_run()(
        SpecText(text=json.dumps(spec), format="json", source="test")
    )
    return planned


@pytest.mark.parametrize("kind", [*GIVING, *SILENT, "llama"])
def test_experts_are_counted_and_the_routers_loss_is_known_or_not(
    container: Container, tmp_path: Path, kind: str
) -> None:
    model = build_tiny_family(kind, tmp_path / "model")
    handle = container.models().inspect(ModelSection(name=str(model)))
    assert handle.experts == (0 if kind == "llama" else 4)
    assert handle.router_loss is (kind in GIVING)


@pytest.mark.parametrize("kind", GIVING)
def test_the_routers_loss_is_added_with_its_weight(
    container: Container, tmp_path: Path, rows_file: Path, kind: str
) -> None:
    """Four experts of which two are chosen: a balanced router's loss is 2, and no router's less."""
    model = build_tiny_family(kind, tmp_path / "model")
    section = {"attention": attention_of(kind)}
    plain = plan(container, model, rows_file, **section)
    routed = plan(container, model, rows_file, **section, router_aux_loss=WEIGHT)
    decisions = {decision.key: decision.value for decision in routed.plan.decisions}
    assert decisions["model.router_aux_loss.weight"] == WEIGHT
    _, first = run(container, plain, tmp_path / "plain")
    _, second = run(container, routed, tmp_path / "routed")
    added = (losses(second)[1] - losses(first)[1]) / WEIGHT
    assert 1.9 < added < 4


@pytest.mark.parametrize(
    ("kind", "code"),
    [("llama", "rule-router-loss-dense"), ("granitemoe", "rule-router-loss-unknown")],
)
def test_a_router_that_gives_no_loss_is_refused_before_loading(
    container: Container, tmp_path: Path, rows_file: Path, kind: str, code: str
) -> None:
    model = build_tiny_family(kind, tmp_path / "model")
    with pytest.raises(HextuneError) as caught:
        plan(container, model, rows_file, router_aux_loss=WEIGHT)
    assert [problem.code for problem in caught.value.problems] == [code]
