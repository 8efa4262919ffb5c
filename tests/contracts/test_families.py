"""Every native type among our families, tiny, through plan, LoRA, save, reload, merge, generate."""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from entrypoints.container import make_container
from tests.contracts.family_runs import judged, run_family
from tests.contracts.family_table import FAMILIES, expected_names, names_in
from tests.contracts.test_trainer import spec_text
from tests.fixtures.tiny_families import (
    SEES_AND_HEARS,
    SPECIAL,
    attention_of,
    build_tiny_family,
    native_types,
)

CATALOG = FolderCatalog()
IN_FAMILIES = {name: CATALOG.description("families", name) for name in CATALOG.names("families")}


def listed(kind: str, key: str) -> set[str]:
    """What the families of a type list under `key`; families of several types list all."""
    return {
        name
        for family in IN_FAMILIES.values()
        if kind in family["model_type"]
        for name in family[key]
    }


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_type_trains_saves_reloads_merges_and_generates(kind: str, tmp_path: Path) -> None:
    found = run_family(kind, tmp_path)
    assert judged(found) == "works"
    assert found.attention == attention_of(kind)
    names = {group.name for group in found.linear}
    avoided = {group.name for group in found.linear if group.avoid}
    assert found.adapted == names - avoided
    if kind not in native_types():
        return
    assert names - avoided <= listed(kind, "lora_targets")
    fused = {group.name for group in found.linear if group.fused}
    assert avoided - fused == names & listed(kind, "lora_avoid")


def test_lora_refuses_names_that_peft_would_take_for_experts(
    rows_file: Path, tmp_path: Path
) -> None:
    model = build_tiny_family("hunyuan_v1_moe", tmp_path / "model")
    text = replace(spec_text(model, rows_file), overrides=("method.targets=[q_proj, up_proj]",))
    with pytest.raises(HextuneError, match="up_proj of hunyuan_v1_moe"):
        make_container(str(tmp_path)).plan_run()(text)


def test_every_native_type_is_run_or_sees_or_hears() -> None:
    assert native_types() - set(SPECIAL) == SEES_AND_HEARS & native_types()


def test_no_router_or_gate_of_experts_gets_an_adapter_by_default() -> None:
    """Names of linear layers that choose experts, as transformers' classes have them."""
    choosing = {"router", "wg", "shared_expert_gate", "gate"}
    for name, family in IN_FAMILIES.items():
        assert not choosing & set(family["lora_targets"]), name


def test_the_page_has_a_row_for_every_type_and_family() -> None:
    """`python -m tests.contracts.family_table` writes it anew."""
    assert names_in(FAMILIES.read_text(encoding="utf-8")) == expected_names()
