"""What every InferenceBackend promises."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling
from ports.inference import InferenceBackend

QUESTION = "one two three four five six seven eight"


def _open(name: str, model: Path, adapter: Path) -> InferenceBackend:
    catalog = FolderCatalog()
    handle = HfModelBackend(catalog).inspect(ModelSection(name=str(model)))
    resolved = ResolvedModel(
        label="tuned", handle=replace(handle, adapters=(str(adapter),)), created_at=1.0
    )
    engine: InferenceBackend = catalog.part("engines", name).Engine(
        resolved, TorchHardware().probe()
    )
    return engine


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter whose B matrices are not zero, so that it changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    torch.manual_seed(1)
    wrapped = get_peft_model(
        network, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    folder = tmp_path_factory.mktemp("adapters") / "random"
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["echo", "transformers"])
def engine(request: pytest.FixtureRequest, tiny_model: Path, adapter: Path) -> InferenceBackend:
    return _open(request.param, tiny_model, adapter)


def ask(engine: InferenceBackend, model: str = "", **sampling: object) -> tuple[str, list[object]]:
    """(joined answer, deltas)."""
    request = GenerationRequest(
        model=model or engine.models()[0].name,
        conversation=Conversation((Message(Role.USER, QUESTION),)),
        sampling=Sampling(**{"max_tokens": 8, "temperature": 0.0, **sampling}),  # type: ignore[arg-type]
    )
    deltas = list(engine.generate(request))
    return "".join(delta.text for delta in deltas), list(deltas)


def test_it_serves_the_tuned_model_first_and_its_base(
    engine: InferenceBackend, tiny_model: Path
) -> None:
    served = engine.models()
    assert [model.name for model in served] == ["tuned", str(tiny_model)]
    assert served[0].adapter is not None
    assert served[1].adapter is None


def test_only_the_last_piece_carries_the_end_and_the_counts(engine: InferenceBackend) -> None:
    _, deltas = ask(engine, max_tokens=3)
    *pieces, last = deltas
    assert all(piece.finish_reason is None for piece in pieces)  # type: ignore[attr-defined]
    assert last.finish_reason == "length"  # type: ignore[attr-defined]
    assert last.completion_tokens == 3  # type: ignore[attr-defined]
    assert last.prompt_tokens > 0  # type: ignore[attr-defined]


def test_an_unknown_model_fails_before_the_first_piece(engine: InferenceBackend) -> None:
    request = GenerationRequest(
        model="nope", conversation=Conversation((Message(Role.USER, "hi"),))
    )
    with pytest.raises(HextuneError) as caught:
        engine.generate(request)
    assert caught.value.problems[0].code == "model-not-served"


def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(engine: InferenceBackend) -> None:
    whole, _ = ask(engine, max_tokens=8)
    stop = whole[3:5]
    text, deltas = ask(engine, max_tokens=8, stop=(stop,))
    assert text == whole[: whole.index(stop)]
    assert deltas[-1].finish_reason == "stop"  # type: ignore[attr-defined]


def test_closing_an_answer_early_leaves_the_engine_usable(engine: InferenceBackend) -> None:
    request = GenerationRequest(
        model=engine.models()[0].name,
        conversation=Conversation((Message(Role.USER, QUESTION),)),
        sampling=Sampling(temperature=0.0, max_tokens=200),
    )
    answer = engine.generate(request)
    next(answer)
    answer.close()
    assert ask(engine, max_tokens=2)[1]


def test_the_same_seed_gives_the_same_answer(engine: InferenceBackend) -> None:
    first, _ = ask(engine, temperature=1.0, seed=7)
    second, _ = ask(engine, temperature=1.0, seed=7)
    assert first == second


def test_transformers_switches_the_adapter_by_model_name(tiny_model: Path, adapter: Path) -> None:
    engine = _open("transformers", tiny_model, adapter)
    tuned, base = (model.name for model in engine.models())
    assert ask(engine, tuned)[0] != ask(engine, base)[0]
    assert ask(engine, base)[0] == ask(engine, base)[0]


def test_transformers_seeds_differ(tiny_model: Path, adapter: Path) -> None:
    engine = _open("transformers", tiny_model, adapter)
    answers = {ask(engine, temperature=1.5, seed=seed)[0] for seed in range(4)}
    assert len(answers) > 1


@pytest.mark.parametrize("asked", [600, None])
def test_transformers_refuses_more_than_the_context(
    tiny_model: Path, adapter: Path, asked: int | None
) -> None:
    engine = _open("transformers", tiny_model, adapter)
    text = QUESTION if asked else "x " * 600
    request = GenerationRequest(
        model="tuned",
        conversation=Conversation((Message(Role.USER, text),)),
        sampling=Sampling(max_tokens=asked),
    )
    with pytest.raises(HextuneError) as caught:
        engine.generate(request)
    assert caught.value.problems[0].code == "request-too-long"


def test_many_threads_get_their_own_answers(tiny_model: Path, adapter: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    engine = _open("transformers", tiny_model, adapter)
    alone = {seed: ask(engine, temperature=1.0, seed=seed)[0] for seed in range(4)}
    call: Callable[[int], str] = lambda seed: ask(engine, temperature=1.0, seed=seed)[0]  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        together = dict(zip(range(4), pool.map(call, range(4)), strict=True))
    assert together == alone
