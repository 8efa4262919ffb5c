"""The catalogue of model families: the paper's Table 6, the templates, and the choice by name."""

import re
from pathlib import Path
from typing import Any

import pytest

from adapters.families import _matches, _weight, template_for
from tests.templates.chats import CATALOG, template

NAMES = CATALOG.names("families")
FAMILIES = {name: CATALOG.description("families", name) for name in NAMES}
PAPER = Path(__file__).parents[3] / "shared" / "paper.txt"
KEYS = [
    *("summary", "title", "organization", "released", "sizes", "model_type", "hub_ids"),
    *("checkpoints", "template", "native", "convertible", "successor", "licence", "dtype"),
    *("lora_targets", "lora_avoid", "note"),
]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
WITHOUT_FAMILY = {"alpaca", "bloom", "empty"}
"""Templates that a user names: no released model needs them."""


def choice(model_name: str, model_type: str = "") -> str | None:
    chosen = template_for(CATALOG, model_name=model_name, model_type=model_type)
    return chosen.name if chosen else None


@pytest.mark.parametrize("name", NAMES)
def test_a_family_has_every_key_and_a_known_template(name: str) -> None:
    family = FAMILIES[name]
    assert list(family) == KEYS
    assert family["template"] is None or family["template"] in CATALOG.names("templates")
    assert family["hub_ids"]
    assert family["released"] is None or re.fullmatch(r"20\d\d-(0\d|1[0-2])", family["released"])


@pytest.mark.parametrize("name", NAMES)
def test_a_familys_values_have_the_types_that_are_read(name: str) -> None:
    family = FAMILIES[name]
    for key in ("sizes", "model_type", "hub_ids", "convertible", "lora_targets", "lora_avoid"):
        assert all(isinstance(each, str) for each in family[key]), key
        assert len(set(family[key])) == len(family[key]), key
    for key in ("successor", "licence", "dtype", "note"):
        assert family[key] is None or family[key], key
    assert set(family["convertible"]) <= set(family["sizes"])
    assert not set(family["lora_targets"]) & set(family["lora_avoid"])
    known = any(kind in CATALOG.names("conversions") for kind in family["model_type"])
    assert known or not family["convertible"]


@pytest.mark.parametrize("name", NAMES)
def test_a_familys_checkpoints_are_found_by_their_hub_ids(name: str) -> None:
    for hub_id in FAMILIES[name]["checkpoints"]:
        found = sorted(_matches(list(FAMILIES.values()), hub_id), key=lambda m: _weight(m[0]))
        assert found[-1][1] is FAMILIES[name], hub_id


@pytest.mark.parametrize("name", NAMES)
def test_native_means_that_transformers_has_the_type(name: str) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    known = any(kind in CONFIG_MAPPING_NAMES for kind in FAMILIES[name]["model_type"])
    assert known == FAMILIES[name]["native"]


def _paper_rows() -> list[list[str]]:
    if not PAPER.exists():
        return []
    table = PAPER.read_text(encoding="utf-8").rpartition("Model\tVariant\t")[2]
    return [line.split("\t") for line in table.splitlines()[1:] if line.count("\t") == 3]


def test_every_row_of_table_6_is_a_family() -> None:
    rows = _paper_rows()
    if not rows:
        pytest.skip("the paper is not here")
    assert len(rows) == 47
    titles: dict[str, Any] = {family["title"]: family for family in FAMILIES.values()}
    for model, sizes, organization, date in rows:
        family = titles[re.sub(r" \(.*\)", "", model)]
        month, year = date.replace(".", "").split()
        assert family["sizes"] == sizes.split("/")
        assert (family["organization"] or "/") == organization
        assert family["released"] == f"{year}-{MONTHS.index(month) + 1:02}"


def test_every_template_serves_a_family_or_is_named_by_the_user() -> None:
    used = {family["template"] for family in FAMILIES.values()}
    assert set(CATALOG.names("templates")) - used == WITHOUT_FAMILY


@pytest.mark.parametrize("name", NAMES)
def test_a_familys_own_names_choose_its_template(name: str) -> None:
    for pattern in FAMILIES[name]["hub_ids"]:
        assert choice(pattern.replace("*", "")) == FAMILIES[name]["template"], pattern


@pytest.mark.parametrize(
    ("model_name", "expected"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "llama2"),
        ("META-LLAMA/llama-3.2-1b-instruct", "llama3_1"),
        ("/models/Qwen3-4B-Instruct-2507", "qwen3_instruct"),
        ("C:\\models\\Qwen3-4B\\", "qwen3"),
        ("unsloth/Llama-3.2-11B-Vision-Instruct", "llama3_2_vision"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek_r1"),
        ("deepseek-ai/DeepSeek-V2.5-1210", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-V2-Lite-Chat", "deepseek_llm"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_vl"),
        ("google/gemma-2-9b-it", "gemma"),
        ("mistralai/Mixtral-8x22B-Instruct-v0.1", "mistral_v3"),
        ("bigcode/starcoder2-3b", None),
        ("some/unknown-model", None),
    ],
)
def test_the_most_specific_name_wins(model_name: str, expected: str | None) -> None:
    assert choice(model_name) == expected


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("gemma2", "gemma"),
        ("cohere", "command_r"),
        ("baichuan", None),
        ("llama", None),
        ("mistral", None),
        ("qwen2", None),
        ("bloom", None),
        ("no_such_type", None),
    ],
)
def test_a_type_chooses_only_where_all_its_families_agree(
    model_type: str, expected: str | None
) -> None:
    assert choice("my-model", model_type) == expected


def test_a_name_without_a_chat_format_is_not_overruled_by_its_type() -> None:
    assert choice("bigscience/bloom-560m", "gemma2") is None


def test_a_choice_carries_the_text_and_the_reason() -> None:
    chosen = template_for(CATALOG, model_name="01-ai/Yi-6B-Chat", model_type="llama")
    assert chosen is not None
    assert chosen.text == template("chatml")
    assert chosen.reason == "`01-ai/Yi-6B-Chat` matches `01-ai/Yi-6B*`"
    by_type = template_for(CATALOG, model_name="mine", model_type="gemma2")
    assert by_type is not None
    assert by_type.reason == "every known chat model of type `gemma2` is Gemma 2"


def test_choosing_loads_no_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from adapters.catalog import FolderCatalog;"
        "from adapters.families import template_for;"
        "template_for(FolderCatalog(), model_name='a/b', model_type='gemma2');"
        "print(sorted({'torch', 'transformers', 'jinja2'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
