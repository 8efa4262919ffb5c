"""Pre-training: every token of every document is trained, packed, with or without a template."""

import json
from pathlib import Path

import pytest

from domain.errors import HextuneError
from entrypoints.container import Container, make_container
from tests.contracts.test_trainer import losses, run, spec_text
from tests.fixtures.tiny_model import build_tiny_model


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    rows = [{"text": f"Document {number}. " + "It is what it is. " * 20} for number in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("streaming", [False, True])
def test_documents_are_split_packed_and_learned_without_a_template(
    container: Container, tmp_path: Path, documents: Path, streaming: bool
) -> None:
    model = build_tiny_model(tmp_path / "base", template=None)
    data = {"train": [{"path": str(documents)}], "max_tokens": 128, "streaming": streaming}
    planned = container.plan_run()(
        spec_text(model, documents, stage={"name": "pretrain"}, data=data)
    )
    assert planned.data.packs is not None
    assert planned.data.train_tokens == planned.data.trained_tokens
    assert planned.data.longest <= 128
    decided = {found.key: found.value for found in planned.plan.decisions}
    assert decided["data.over_long"] == "split"
    assert decided["batching.packing"] is True
    _, events = run(container, planned, tmp_path / "run")
    assert losses(events)[6] < losses(events)[1]


def test_conversations_are_no_documents(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(spec_text(tiny_model, rows_file, stage={"name": "pretrain"}))
    assert [found.code for found in caught.value.problems] == ["data-kind-unfit"]
