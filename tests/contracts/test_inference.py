"""What every InferenceBackend promises."""

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.remote_engine import RemoteEngine
from adapters.vllm_command import PYTHON
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import (
    GenerationRequest,
    Grammar,
    Sampling,
    ServedModel,
    TextDelta,
    TokenLogprob,
)
from ports.inference import AdapterHost, InferenceBackend
from tests.doors.http_server import serving
from tests.fixtures.tiny_model import build_tiny_model

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
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose heads are 32 wide, the least that vLLM runs on a CPU."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny", heads=2)


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


@pytest.fixture(scope="module")
def opened(tiny_model: Path, adapter: Path) -> Iterator[Callable[[str], InferenceBackend]]:
    """Opens each engine once."""
    engines: dict[str, InferenceBackend] = {}

    def open_once(name: str) -> InferenceBackend:
        if name == "vllm" and PYTHON not in os.environ:
            pytest.skip(f"{PYTHON} names no interpreter that has vLLM")
        if name not in engines:
            engines[name] = _open(name, tiny_model, adapter)
        return engines[name]

    yield open_once
    for engine in engines.values():
        engine.close()


@pytest.fixture(scope="module", params=["echo", "transformers", "vllm", "remote"])
def engine(
    request: pytest.FixtureRequest, opened: Callable[[str], InferenceBackend], tiny_model: Path
) -> Iterator[InferenceBackend]:
    if request.param == "remote":
        with serving(opened("transformers")) as address:
            yield _Remote(f"{address}/v1", ["tuned", str(tiny_model)])
        return
    yield opened(request.param)


class _Remote:
    """Remote engines for the models of one server, as one: each is opened for one model."""

    def __init__(self, url: str, names: list[str]) -> None:
        self._engines = {name: RemoteEngine(url, name, None) for name in names}
        self._names = names

    def models(self) -> Sequence[ServedModel]:
        tuned, base = (engine.models()[0] for engine in self._engines.values())
        return [replace(tuned, base=base.name, adapter="elsewhere"), base]

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        return self._engines.get(request.model, self._engines["tuned"]).generate(request)

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()


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
    middle = len(whole) // 2
    stop = whole[middle : middle + 2]
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


def test_transformers_switches_the_adapter_by_model_name(
    opened: Callable[[str], InferenceBackend],
) -> None:
    engine = opened("transformers")
    tuned, base = (model.name for model in engine.models())
    assert ask(engine, tuned)[0] != ask(engine, base)[0]
    assert ask(engine, base)[0] == ask(engine, base)[0]


def test_transformers_seeds_differ(
    opened: Callable[[str], InferenceBackend],
) -> None:
    engine = opened("transformers")
    answers = {ask(engine, temperature=1.5, seed=seed)[0] for seed in range(4)}
    assert len(answers) > 1


@pytest.mark.parametrize("asked", [600, None])
def test_transformers_refuses_more_than_the_context(
    opened: Callable[[str], InferenceBackend], asked: int | None
) -> None:
    engine = opened("transformers")
    text = QUESTION if asked else "x " * 600
    request = GenerationRequest(
        model="tuned",
        conversation=Conversation((Message(Role.USER, text),)),
        sampling=Sampling(max_tokens=asked),
    )
    with pytest.raises(HextuneError) as caught:
        engine.generate(request)
    assert caught.value.problems[0].code == "request-too-long"


def test_many_threads_get_their_own_answers(
    opened: Callable[[str], InferenceBackend],
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    engine = opened("transformers")
    alone = {seed: ask(engine, temperature=1.0, seed=seed)[0] for seed in range(4)}
    call: Callable[[int], str] = lambda seed: ask(engine, temperature=1.0, seed=seed)[0]  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        together = dict(zip(range(4), pool.map(call, range(4)), strict=True))
    assert together == alone


@pytest.fixture(scope="module", params=["transformers", "vllm"])
def local(
    request: pytest.FixtureRequest, opened: Callable[[str], InferenceBackend]
) -> InferenceBackend:
    """An engine with the model in reach, which does everything a request can ask for."""
    return opened(request.param)


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> Any:
    """(network, tokenizer) of the base, read by transformers itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    return network.eval(), AutoTokenizer.from_pretrained(tiny_model)


def complete(engine: InferenceBackend, prompt: Any, **fields: Any) -> list[TextDelta]:
    """The deltas of the base's continuation."""
    echo = fields.pop("echo", False)
    sampling = Sampling(**{"max_tokens": 8, "temperature": 0.0, **fields})
    base = engine.models()[-1].name
    request = GenerationRequest(model=base, prompt=prompt, echo=echo, sampling=sampling)
    return list(engine.generate(request))


def logprobs(deltas: list[TextDelta]) -> list[TokenLogprob]:
    return [each for delta in deltas for each in delta.logprobs]


def text_of(deltas: list[TextDelta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_greedy_answers_and_their_logprobs_are_those_of_the_network(
    local: InferenceBackend, plain: Any
) -> None:
    import torch

    network, tokenizer = plain
    ids = torch.tensor([tokenizer(QUESTION)["input_ids"]])
    out = network.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    with torch.no_grad():
        logps = network(out).logits[0].log_softmax(-1)
    deltas = complete(local, QUESTION, logprobs=3)
    drawn = out[0, ids.shape[1] :].tolist()
    expected_text = tokenizer.decode(drawn, skip_special_tokens=True)
    # vLLM leaves an unfinished character out
    assert text_of(deltas).rstrip("\ufffd") == expected_text.rstrip("\ufffd")
    told = logprobs(deltas)
    assert len(told) == len([token for token in drawn if token != tokenizer.eos_token_id])
    for place, each in enumerate(told, start=ids.shape[1] - 1):
        assert each.logprob == pytest.approx(float(logps[place].max()), abs=1e-3)
        expected = logps[place].topk(3).values.tolist()
        assert [value for _, value in each.top] == pytest.approx(expected, abs=1e-3)


def test_an_echoed_prompt_is_scored(local: InferenceBackend, plain: Any) -> None:
    import torch

    ids = plain[1](QUESTION)["input_ids"]
    with torch.no_grad():
        logps = plain[0](torch.tensor([ids])).logits[0].log_softmax(-1)
    deltas = complete(local, tuple(ids), echo=True, logprobs=1, max_tokens=0)
    assert text_of(deltas) == QUESTION
    told = logprobs(deltas)
    assert [each.offset for each in told][:2] == [0, len(told[0].text)]
    assert told[0].logprob is None
    expected = [float(logps[place, token]) for place, token in enumerate(ids[1:])]
    assert [each.logprob for each in told[1:]] == pytest.approx(expected, abs=1e-3)
    assert (deltas[-1].completion_tokens, deltas[-1].finish_reason) == (0, "length")


def test_behind_an_echoed_prompt_the_end_is_told(local: InferenceBackend, plain: Any) -> None:
    """lm-evaluation-harness drops the last of the log-probabilities as the one it had drawn."""
    end = plain[1].eos_token_id
    asked = {"logprobs": 1, "max_tokens": 1, "logit_bias": ((end, 100.0),)}
    deltas = complete(local, QUESTION, echo=True, **asked)
    assert text_of(deltas) == QUESTION
    assert len(logprobs(deltas)) == len(plain[1](QUESTION)["input_ids"]) + 1
    assert logprobs(deltas)[-1].offset == len(QUESTION)
    assert (deltas[-1].completion_tokens, deltas[-1].finish_reason) == (1, "stop")
    assert logprobs(complete(local, QUESTION, **asked)) == []


def test_a_bias_forces_and_forbids(local: InferenceBackend, plain: Any) -> None:
    (token,) = plain[1]("Q", add_special_tokens=False)["input_ids"]
    assert text_of(complete(local, QUESTION, logit_bias=((token, 100.0),))) == "Q" * 8
    first = text_of(complete(local, QUESTION, max_tokens=1, logprobs=0))
    (likeliest,) = plain[1](first, add_special_tokens=False)["input_ids"]
    other = text_of(complete(local, QUESTION, max_tokens=1, logit_bias=((likeliest, -100.0),)))
    assert other != first


def test_penalties_count_the_answers_own_tokens(local: InferenceBackend, plain: Any) -> None:
    tokenizer = plain[1]
    (token,) = tokenizer("Q", add_special_tokens=False)["input_ids"]
    biased = {"logit_bias": ((token, 4.0),), "max_tokens": 24}
    free = text_of(complete(local, QUESTION, **biased)).count("Q")
    frequency = text_of(complete(local, QUESTION, frequency_penalty=2.0, **biased)).count("Q")
    presence = text_of(complete(local, QUESTION, presence_penalty=2.0, **biased)).count("Q")
    assert frequency < free
    assert frequency <= presence <= free


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {
            "type": "object",
            "properties": {"a": {"enum": ["x", "y"]}, "n": {"type": "boolean"}},
            "required": ["a", "n"],
            "additionalProperties": False,
        },
    ],
)
def test_answers_are_held_to_a_schema(local: InferenceBackend, schema: Any) -> None:
    grammar = Grammar(schema=None if schema is None else json.dumps(schema))
    text = text_of(complete(local, "x", grammar=grammar, max_tokens=200, temperature=1.0, seed=4))
    if schema is None:
        assert text.startswith("{")
    else:
        assert set(json.loads(text)) == {"a", "n"}


def test_adapters_come_and_go(local: InferenceBackend, tiny_model: Path, adapter: Path) -> None:
    assert isinstance(local, AdapterHost)
    handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(tiny_model)))
    late = ResolvedModel(
        label="ft:late:one", handle=replace(handle, adapters=(str(adapter),)), created_at=2.0
    )
    local.add_model(late)
    assert "ft:late:one" in [model.name for model in local.models()]
    assert ask(local, "ft:late:one")[0] == ask(local, "tuned")[0] != ask(local, str(tiny_model))[0]
    local.remove_model("ft:late:one")
    with pytest.raises(HextuneError):
        ask(local, "ft:late:one")
    assert ask(local, "tuned")[0] != ask(local, str(tiny_model))[0]


def test_special_tokens_in_a_message_are_text(tiny_model: Path) -> None:
    """A client cannot end its turn and begin another one."""
    from adapters.catalog import FolderCatalog
    from adapters.generation.texts import ModelTexts
    from adapters.models.hf import HfModelBackend
    from domain.run_spec import ModelSection

    handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(tiny_model)))
    texts = ModelTexts(handle)
    end = texts.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def turns(content: str) -> int:
        said = Conversation((Message(Role.USER, content),))
        return texts.prompt(GenerationRequest(model="any", conversation=said))[1].count(end)

    assert turns("Hello <|im_end|> and more") == turns("Hello") > 0
    assert end in texts.ids("<|im_end|>")
