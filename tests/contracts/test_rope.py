"""Stretched rotary embeddings: the same in training, chat, scores, merges, and what is saved."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dependency_injector import providers
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig

from adapters.models.hf import HfModelBackend, load_network
from adapters.models.rope import rope_type
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.job import Job, JobStatus
from domain.model_handle import ModelHandle
from domain.rope import RopeSection, needed_factor
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling
from domain.scoring import ScoredTokens
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import spec_text
from tests.fakes.processes import FakeLauncher

TYPES = ("linear", "dynamic", "yarn", "llama3")
OLD, LONG, NEW = 512, 700, 1024
IDS: Any = torch.randint(3, 250, (1, LONG), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with attention so sharp that positions matter."""
    folder = tmp_path_factory.mktemp("sharp") / "model"
    shutil.copytree(tiny_model, folder)
    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        for layer in network.model.layers:
            layer.self_attn.q_proj.weight *= 60
            layer.self_attn.v_proj.weight *= 10
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def container(tmp_path: Path) -> Container:
    made = make_container(str(tmp_path / "runs"))
    made.launcher.override(providers.Object(FakeLauncher()))
    return made


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every network that was loaded to be trained, as training left it."""
    found: list[Any] = []
    load = HfModelBackend.load

    def watched(*arguments: Any) -> Any:
        loaded: Any = load(*arguments)
        found.append(loaded.network)
        return loaded

    monkeypatch.setattr(HfModelBackend, "load", watched)
    return found


@pytest.fixture
def train(
    container: Container, model: Path, rows_file: Path
) -> Callable[[str, dict[str, Any]], Job]:
    def run(kind: str, method: dict[str, Any]) -> Job:
        text = spec_text(
            model,
            rows_file,
            model={"name": str(model), "rope": {"type": kind}},
            data={"train": [{"path": str(rows_file)}], "max_tokens": LONG},
            schedule={"max_steps": 2},
            method=method,
        )
        job = container.start_run()(text)
        done: Job = container.execute_run()(job.id, resume=False, stop_asked=lambda: False)
        assert done.status is JobStatus.SUCCEEDED
        return done

    return run


def logits(network: Any) -> Any:
    with torch.no_grad():
        return network.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("kind", TYPES)
def test_a_run_is_merged_and_read_again_as_it_was_trained(
    container: Container,
    train: Callable[..., Job],
    networks: list[Any],
    model: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    job = train(kind, {"name": "lora", "rank": 4})
    trained = logits(networks[0])
    handle = container.resolve_model()(job.id).handle
    assert handle.rope is not None
    assert (handle.rope.type, handle.rope.factor, handle.context_tokens) == (kind, 2.0, NEW)
    report = container.merge_model()(job.id, str(tmp_path / "merged"), "float32", None)
    merged = container.models().inspect(ModelSection(name=report.folder))
    assert (merged.context_tokens, merged.rope_type, merged.rope) == (NEW, kind, None)
    assert torch.allclose(logits(load_network(merged, dtype="float32")), trained, atol=1e-4)
    written = json.loads((tmp_path / "merged" / "config.json").read_text())
    written["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    plain = AutoModelForCausalLM.from_pretrained(
        report.folder, config=LlamaConfig.from_dict(written)
    )
    assert not torch.allclose(logits(plain), trained, atol=1e-2)


@pytest.mark.parametrize("kind", ["dynamic", "yarn"])
def test_a_whole_model_is_saved_with_it(
    container: Container, train: Callable[..., Job], networks: list[Any], kind: str
) -> None:
    job = train(kind, {"name": "full"})
    handle = container.resolve_model()(job.id).handle
    assert (handle.context_tokens, handle.rope_type) == (NEW, kind)
    assert torch.allclose(logits(load_network(handle, dtype="float32")), logits(networks[0]))
    config = AutoConfig.from_pretrained(handle.path)
    assert config.max_position_embeddings == {"dynamic": OLD, "yarn": NEW}[kind]
    assert config.rope_parameters["rope_theta"] == 10000.0


def test_chat_and_scores_reach_as_far(
    container: Container, train: Callable[..., Job], networks: list[Any], model: Path
) -> None:
    job = train("linear", {"name": "lora", "rank": 4})
    trained = logits(networks[0])
    stretched = container.resolve_model()(job.id)
    engine = container.open_engine(stretched)
    talk = Conversation((Message(Role.USER, "x " * 300),))
    request = GenerationRequest(
        model=job.id, conversation=talk, sampling=Sampling(temperature=0, max_tokens=2)
    )
    assert [*engine.generate(request)][-1].prompt_tokens > OLD
    plain = container.open_engine(container.resolve_model()(str(model)))
    with pytest.raises(HextuneError) as caught:
        next(plain.generate(replace(request, model=str(model))))
    assert caught.value.problems[0].code == "request-too-long"
    scorer = container.open_scorer(stretched)
    counted = (*[False] * (LONG - 1), True)
    row = ScoredTokens(ids=tuple(IDS[0].tolist()), counted=counted)
    ((_, found),) = scorer.score_tokens([row], job.id)
    expected = trained[0, -2].log_softmax(-1)[IDS[0, -1]]
    assert found == pytest.approx(float(expected), abs=1e-3)


def plan(container: Container, model: Path, rows: Path, /, **sections: Any) -> Planned:
    made: Planned = container.plan_run()(spec_text(model, rows, **sections))
    return made


def test_the_plan_tells_the_factor_and_why(
    container: Container, model: Path, rows_file: Path
) -> None:
    data = {"train": [{"path": str(rows_file)}], "max_tokens": 1100}
    asked = {"name": str(model), "rope": {"type": "yarn"}}
    made = plan(container, model, rows_file, model=asked, data=data)
    told = {each.key: (each.value, each.reason) for each in made.plan.decisions}
    reason = "data.max_tokens 1100 / the model's context 512, rounded up"
    assert told["model.rope.factor"] == (3.0, reason)
    assert told["model.context_tokens"] == (1536, "512 positions stretched 3 times, yarn")
    assert made.model.rope == RopeSection(type="yarn", factor=3.0)
    with pytest.raises(HextuneError) as caught:
        plan(container, model, rows_file, model={"name": str(model)}, data=data)
    assert [each.code for each in caught.value.problems] == ["rule-too-long-for-model"]


def test_the_least_whole_factor_makes_room() -> None:
    assert [needed_factor(tokens, 512) for tokens in (None, 1, 512, 513, 1024, 1025)] == [
        1, 1, 1, 2, 2, 3,
    ]  # fmt: skip


def frequencies(handle: ModelHandle) -> Any:
    return load_network(handle, dtype="float32").model.rotary_emb.inv_freq


def test_the_frequencies_are_those_of_the_published_formulas(
    container: Container, model: Path
) -> None:
    plain = container.models().inspect(ModelSection(name=str(model)))

    def asked(kind: Any) -> Any:
        return frequencies(plain.stretched(RopeSection(type=kind, factor=4.0), None))

    own = frequencies(plain)
    assert torch.allclose(asked("linear"), own / 4)
    assert torch.equal(asked("dynamic"), own)  # it changes only as inputs grow
    turns = OLD * own / (2 * torch.pi)
    bands = torch.where(turns < 1, own / 4, own)
    smooth = (turns - 1) / 3
    between = (turns >= 1) & (turns <= 4)
    bands = torch.where(between, (1 - smooth) * own / 4 + smooth * own, bands)
    assert torch.allclose(asked("llama3"), bands)
    yarn = asked("yarn")
    assert torch.allclose(yarn[-1], own[-1] / 4)
    assert torch.equal(yarn[0], own[0])


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 32,
    "vocab_size": 64,
}
YARN = {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LlamaConfig(**SMALL), "default"),
        (LlamaConfig(**SMALL, rope_parameters={**YARN}), "yarn"),
        (Gemma3TextConfig(**SMALL), "layered"),
        (GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=64), None),
    ],
)
def test_what_can_be_stretched_is_seen_in_the_network(config: Any, expected: str | None) -> None:
    with torch.device("meta"):
        assert rope_type(AutoModelForCausalLM.from_config(config)) == expected


def test_a_model_that_cannot_be_stretched_is_refused_with_everything_else(
    container: Container, train: Callable[..., Job], rows_file: Path
) -> None:
    folder = container.resolve_model()(train("yarn", {"name": "full"}).id).handle.path
    model = {"name": folder, "rope": {"type": "linear", "factor": 2}}
    with pytest.raises(HextuneError) as caught:
        plan(container, Path(folder), rows_file, model=model)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["type"]) == ("rule-rope-scaled", "yarn")
