"""Every method and variant on a tiny model: what learns, what is saved, and that it comes back."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from domain.events import EventKind
from domain.fingerprint import Json
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.trainer import TrainOutcome, TrainRequest
from tests.contracts.test_trainer import losses, run, spec_text

VARIANTS: Mapping[str, list[dict[str, Any]]] = {
    "full": [{}],
    "freeze": [
        {"layers": 1},
        {"layers": 1, "which": "first", "modules": ["mlp"]},
        {"layers": 1, "extra": ["embed_tokens", "norm"]},
    ],
    "lora": [
        {"rank": 4, "dropout": 0.1},
        {"rank": 4, "targets": ["q_proj", "v_proj"]},
        {"rank": 4},
        {"rank": 4, "targets": ["*.layers.1.mlp.*", "q_proj"]},
        {"rank": 4, "only_layers": [1]},
        {"rank": 4, "extra": ["embed_tokens", "norm"]},
        {"rank": 4, "rslora": True},
        {"rank": 4, "dora": True},
        {"rank": 4, "plus_ratio": 8.0},
        {"rank": 4, "init": "gaussian"},
        {"rank": 4, "init": "orthogonal"},
        {"rank": 4, "init": "pissa"},
        {"rank": 4, "init": "pissa_fast"},
        {"rank": 4, "init": "pissa", "rslora": True},
        {"rank": 4, "init": "olora"},
        {"rank": 4, "init": "eva"},
    ],
    "llama_pro": [{"new_layers": 1}, {"new_layers": 2}],
    "adalora": [{"rank": 2, "start_rank": 4}],
    "loha": [{"rank": 4}],
    "lokr": [{"rank": 4}],
    "ia3": [{}, {"targets": ["k_proj", "v_proj", "down_proj"], "at_inputs": ["down_proj"]}],
    "oft": [{"block_size": 8}],
    "vera": [{"rank": 16}],
}
CASES = [(name, options) for name, found in VARIANTS.items() for options in found]
IDS = [
    "-".join([name, *(f"{key}={value}" for key, value in options.items())])
    for name, options in CASES
]
RATES = {"vera": 0.1, "ia3": 0.1, "adalora": 0.1, "full": 3e-3, "freeze": 1e-2, "llama_pro": 2e-3}

RELOADED = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
for base, folder, adapter in json.load(open(sys.argv[1])):
    network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter:
        network = PeftModel.from_pretrained(network, folder)
    with torch.inference_mode():
        logits = network.eval()(input_ids=torch.arange(3, 43)[None]).logits[0, -1]
    print(json.dumps(logits.tolist()))
"""


@dataclass(frozen=True)
class Trained:
    """A trained case."""

    planned: Planned
    outcome: TrainOutcome
    losses: Mapping[int, float]
    logits: list[float]
    """Of the network as training left it, after the last of 40 tokens."""
    folder: Path
    """Where the result is."""
    moved: int
    """Tensors of the model whose values are not found in it any more."""

    @property
    def loading(self) -> tuple[str, str, bool]:
        """(model to load, adapter folder, whether it is an adapter)."""
        adapter, folder = bool(self.outcome.results["adapter"]), str(self.folder / "model")
        return self.planned.plan.model.path if adapter else folder, folder, adapter


def test_every_method_of_the_catalogue_has_a_case() -> None:
    named = {*VARIANTS, "continued"}  # which has tests of its own in test_adapters.py
    assert named == set(FolderCatalog().names("methods"))


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return make_container(str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def trained(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[int], Trained]:
    """The run of a case, trained once."""
    done: dict[int, Trained] = {}

    def train(number: int) -> Trained:
        if number not in done:
            name, options = CASES[number]
            planned: Planned = container.plan_run()(
                spec_text(
                    tiny_model,
                    rows_file,
                    method={"name": name, **options},
                    optimizer={"learning_rate": RATES.get(name, 1e-2)},
                    batching={"per_device": 6},
                )
            )
            done[number] = _trained(container, planned, tmp_path_factory.mktemp("method"))
        return done[number]

    return train


def _trained(container: Container, planned: Planned, folder: Path) -> Trained:
    import torch

    spec, plan = planned.document.spec, planned.plan
    loaded = container.models().load(spec.model, plan.precision, None)
    before = values_of(loaded.network)
    events: list[tuple[EventKind, Mapping[str, Json]]] = []
    request = TrainRequest(
        spec=spec,
        plan=plan,
        data=planned.data,
        model=loaded,
        folder=str(folder),
        resume=False,
        stop_asked=lambda: False,
    )
    outcome = container.trainer().train(request, lambda kind, data: events.append((kind, data)))
    with torch.inference_mode():
        output = loaded.network.eval()(input_ids=torch.arange(3, 43)[None])
    logits = output.logits[0, -1].tolist()
    moved = (before - values_of(loaded.network)).total()
    return Trained(planned, outcome, losses(events), logits, folder, moved)


def values_of(network: Any) -> Counter[bytes]:
    """The values of every tensor, so that a tensor is found again under whatever name."""
    return Counter(weight.detach().numpy().tobytes() for weight in network.parameters())


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_the_loss_falls_and_as_many_weights_learn_as_planned(
    container: Container, trained: Callable[[int], Trained], number: int
) -> None:
    found = trained(number)
    assert found.losses[6] < found.losses[1]
    spec, plan = found.planned.document.spec, found.planned.plan
    method = FolderCatalog().part("methods", spec.method.name)
    network = container.models().load(spec.model, plan.precision, None).network
    tuned = method.prepare(spec.method.options, plan.model, network).network
    learning = [weight for weight in tuned.parameters() if weight.requires_grad]
    count = sum(weight.numel() for weight in learning)
    assert count == plan.trainer.trainable == found.outcome.results["trainable"]
    if plan.trainer.changes_base and plan.trainer.adapter_based:
        assert found.moved == sum(group.count for group in plan.model.linear)
    else:
        assert found.moved == (0 if plan.trainer.adds_weights else len(learning))


def test_what_is_saved_gives_the_trained_logits_in_a_fresh_process(
    trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    asked = [trained(number).loading for number in range(len(CASES))]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", RELOADED, str(tmp_path / "asked.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    reloaded = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(reloaded) == len(CASES)
    for number, logits in enumerate(reloaded):
        assert logits == pytest.approx(trained(number).logits, abs=2e-5), IDS[number]


ADAPTERS = [
    number
    for number, (name, _) in enumerate(CASES)
    if FolderCatalog().part("methods", name).ADAPTER_BASED
]


@pytest.mark.parametrize("number", ADAPTERS, ids=[IDS[n] for n in ADAPTERS])
def test_merged_weights_give_the_adapters_logits(
    container: Container, trained: Callable[[int], Trained], number: int, tmp_path: Path
) -> None:
    found = trained(number)
    handle = replace(found.planned.plan.model, adapters=(str(found.folder / "model"),))
    report = container.models().merge(handle, str(tmp_path / "merged"), "float32")
    assert report.max_difference < 1e-4
    assert report.mean_kl < 1e-7


RESUMED = [
    "full",
    "freeze-layers=1",
    "lora-rank=4-dropout=0.1",
    "lora-rank=4-dora=True",
    "lora-rank=4-init=pissa_fast",
    "lora-rank=4-init=eva",
    "llama_pro-new_layers=1",
    "adalora-rank=2-start_rank=4",
    "oft-block_size=8",
]


@pytest.mark.parametrize("id", RESUMED)
def test_a_stopped_run_resumes_bit_for_bit(
    container: Container, trained: Callable[[int], Trained], tmp_path: Path, id: str
) -> None:
    whole = trained(IDS.index(id))
    _, first = run(container, whole.planned, tmp_path, stop_after=3)
    _, second = run(container, whole.planned, tmp_path, resume=True)
    assert losses(first) | losses(second) == whole.losses
    (saved,) = (whole.folder / "model").glob("*model.safetensors")
    assert (tmp_path / "model" / saved.name).read_bytes() == saved.read_bytes()


def test_a_starting_point_from_the_weights_leaves_the_base_as_it_was(
    trained: Callable[[int], Trained],
) -> None:
    """PiSSA is saved as plain LoRA of twice the rank: PEFT reads it as any other."""
    config = trained(IDS.index("lora-rank=4-init=pissa")).folder / "model" / "adapter_config.json"
    saved = json.loads(config.read_text())
    assert (saved["r"], saved["init_lora_weights"]) == (8, True)


def test_lora_plus_lets_b_learn_faster(trained: Callable[[int], Trained]) -> None:
    plain, faster = (
        trained(IDS.index("lora-rank=4")),
        trained(IDS.index("lora-rank=4-plus_ratio=8.0")),
    )
    assert faster.losses[3] < plain.losses[3]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ({"name": "lora", "init": "pissa", "dora": True}, "rule-init-variant"),
        ({"name": "lora", "init": "olora", "extra": ["norm"]}, "rule-init-variant"),
        ({"name": "lora", "init": "orthogonal", "rank": 3}, "rule-odd-rank"),
        ({"name": "lora", "init": "pissa", "rank": 33}, "rule-init-rank"),
        ({"name": "lora", "init": "eva", "rank": 40}, "rule-init-rank"),
        ({"name": "lora", "init": "loftq"}, "rule-packed-needed"),
        ({"name": "lora", "only_layers": [0, 2]}, "rule-no-such-layer"),
        ({"name": "lora", "targets": ["*.moe.*"]}, "rule-unknown-layers"),
        ({"name": "lora", "extra": ["wte"]}, "rule-unknown-parts"),
        ({"name": "adalora", "rank": 8, "start_rank": 8}, "rule-start-rank"),
        ({"name": "ia3", "at_inputs": ["w_pack"]}, "rule-unknown-layers"),
        ({"name": "freeze", "layers": 3}, "rule-too-many-layers"),
        ({"name": "freeze", "modules": ["moe"]}, "rule-unknown-parts"),
        ({"name": "freeze", "extra": ["wte"]}, "rule-unknown-parts"),
        ({"name": "llama_pro", "new_layers": 3}, "rule-uneven-layers"),
        ({"name": "oft", "block_size": 24}, "rule-block-size"),
        ({"name": "vera", "targets": ["w_pack"]}, "rule-unknown-layers"),
    ],
)
def test_what_contradicts_is_refused_before_anything_loads(
    container: Container, tiny_model: Path, rows_file: Path, method: dict[str, Any], code: str
) -> None:
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(spec_text(tiny_model, rows_file, method=method))
    assert [found.code for found in caught.value.problems] == [code]
    assert str(caught.value.problems[0].place.field).startswith("method.")


@pytest.mark.parametrize("method", ["freeze", "llama_pro", "full", "loha", "lokr"])
def test_packed_weights_need_an_adapter(
    container: Container, tiny_model: Path, rows_file: Path, method: str
) -> None:
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(
            spec_text(
                tiny_model,
                rows_file,
                method={"name": method},
                quantization={"name": "bitsandbytes"},
                precision={"mode": "mixed", "dtype": "bfloat16"},
            )
        )
    assert [found.code for found in caught.value.problems] == ["rule-quantized-needs-adapter"]


QUANTIZED = [
    "lora-rank=4-dropout=0.1",
    "lora-rank=4-dora=True",
    "lora-rank=4-init=eva",
    "oft-block_size=8",
    "vera-rank=16",
    "adalora-rank=2-start_rank=4",
    "ia3",
]


@pytest.mark.parametrize("id", QUANTIZED)
def test_adapters_learn_over_packed_weights(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path, id: str
) -> None:
    pytest.importorskip("bitsandbytes")
    name, options = CASES[IDS.index(id)]
    planned = container.plan_run()(
        spec_text(
            tiny_model,
            rows_file,
            method={"name": name, **options},
            optimizer={"learning_rate": RATES.get(name, 1e-2)},
            quantization={"name": "bitsandbytes"},
            precision={"mode": "mixed", "dtype": "bfloat16"},
            schedule={"max_steps": 4},
            batching={"per_device": 6},
        )
    )
    _, events = run(container, planned, tmp_path / "run")
    assert losses(events)[4] < losses(events)[1]
