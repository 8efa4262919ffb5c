"""Every native type among our families, tiny, through plan, LoRA, save, reload, merge, generate."""

from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from tests.contracts.family_runs import FAILING, judged, run_family
from tests.contracts.family_table import FAMILIES, expected_names, names_in
from tests.fixtures.tiny_families import SEES_AND_HEARS, SPECIAL, native_types

CATALOG = FolderCatalog()
IN_FAMILIES = {name: CATALOG.description("families", name) for name in CATALOG.names("families")}
WORKING = [kind for kind in SPECIAL if kind not in FAILING]


def listed(kind: str, key: str) -> set[str]:
    """What the families of a type list under `key`; families of several types list all."""
    return {
        name
        for family in IN_FAMILIES.values()
        if kind in family["model_type"]
        for name in family[key]
    }


@pytest.mark.parametrize("kind", WORKING)
def test_a_type_trains_saves_reloads_merges_and_generates(kind: str, tmp_path: Path) -> None:
    found = run_family(kind, tmp_path)
    assert judged(found) == "works"
    if kind not in native_types():
        return
    names = {group.name for group in found.linear}
    avoided = {group.name for group in found.linear if group.avoid}
    assert names - avoided <= listed(kind, "lora_targets")
    assert avoided == names & listed(kind, "lora_avoid")


@pytest.mark.parametrize("kind", FAILING)
def test_a_type_that_fails_still_does(kind: str, tmp_path: Path) -> None:
    """When a library mends it, the type leaves FAILING and its row says `works`."""
    with pytest.raises(AttributeError, match="last_hidden_state"):
        run_family(kind, tmp_path)


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
