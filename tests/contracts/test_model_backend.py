"""What every ModelBackend promises, and what transformers models are counted as."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from adapters.models.hf import HfModelBackend
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, Problem
from domain.hardware import DeviceKind, Hardware
from domain.masking import IGNORED, EncodedRow, TrainOn
from domain.model_handle import ModelHandle
from domain.precision import PrecisionSection, choose_precision
from domain.run_spec import ModelSection
from ports.encoder import ConversationEncoder
from ports.model import ModelBackend
from tests.fakes.models import CPU, HANDLE, FakeModelBackend
from tests.fixtures.tiny_model import build_tiny_model

FULL = choose_precision(PrecisionSection(), CPU)
TALK = Conversation(
    (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "What is the capital?"),
        Message(Role.ASSISTANT, "It is. "),
        Message(Role.USER, "And now?"),
        Message(Role.ASSISTANT, "In short: ж."),
    )
)
MAKERS: dict[str, Callable[[Path], tuple[ModelBackend, str]]] = {
    "fake": lambda _: (FakeModelBackend(), HANDLE.name),
    "hf": lambda folder: (HfModelBackend(FolderCatalog()), str(folder)),
}


TRAIN_ON = (TrainOn.ASSISTANT_TURNS, TrainOn.LAST_TURN, TrainOn.EVERYTHING)


def encoded(
    encoder: ConversationEncoder,
    conversation: Conversation,
    train_on: TrainOn = TrainOn.ASSISTANT_TURNS,
) -> EncodedRow:
    (found,) = encoder.encode_all([conversation], train_on)
    assert isinstance(found, EncodedRow), found
    return found


def refusal(found: EncodedRow | HextuneError) -> Problem:
    assert isinstance(found, HextuneError)
    return found.problems[0]


@pytest.fixture(params=MAKERS)
def backend(request: pytest.FixtureRequest, tiny_model: Path) -> tuple[ModelBackend, str]:
    return MAKERS[request.param](tiny_model)


def test_inspecting_names_the_model_and_its_shape(backend: tuple[ModelBackend, str]) -> None:
    models, name = backend
    handle = models.inspect(ModelSection(name=name))
    assert handle.name == name
    assert handle.parameters > 0
    assert handle.linear
    assert handle.has_chat_template
    assert models.load(ModelSection(name=name), FULL, None).handle.name == name


def test_a_missing_model_is_an_error_at_its_field(backend: tuple[ModelBackend, str]) -> None:
    with pytest.raises(HextuneError) as caught:
        backend[0].inspect(ModelSection(name="/no/such/model"))
    assert caught.value.problems[0].code == "model-missing"
    assert caught.value.problems[0].place.field == "model.name"


def test_only_answers_are_trained_and_all_of_each(backend: tuple[ModelBackend, str]) -> None:
    models, name = backend
    encoder = models.encoder(models.inspect(ModelSection(name=name)))
    every, last, whole = (encoded(encoder, TALK, train_on) for train_on in TRAIN_ON)
    assert len(every.labels) == len(every.input_ids)
    assert 0 < last.trained_tokens < every.trained_tokens < whole.trained_tokens
    pairs = zip(every.input_ids, every.labels, strict=True)
    assert all(label in (IGNORED, token) for token, label in pairs)


def test_trained_tokens_are_the_answers_and_their_terminators(tiny_model: Path) -> None:
    models = HfModelBackend(FolderCatalog())
    handle = models.inspect(ModelSection(name=str(tiny_model)))
    row = encoded(models.encoder(handle), TALK)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trained = [token for token in row.labels if token != IGNORED]
    assert tokenizer.decode(trained) == "It is. <|im_end|>In short: ж.<|im_end|>"
    reference = tokenizer.apply_chat_template(TALK.as_json(), tokenize=True)["input_ids"]
    assert list(row.input_ids) == reference


def test_rows_come_in_their_order_and_one_alone_is_the_same(
    backend: tuple[ModelBackend, str],
) -> None:
    models, name = backend
    encoder = models.encoder(models.inspect(ModelSection(name=name)))
    talks = [Conversation(TALK.messages[: 2 * n + 1]) for n in (1, 2, 1)]
    assert encoder.encode_all(talks, TrainOn.LAST_TURN) == [
        encoded(encoder, talk, TrainOn.LAST_TURN) for talk in talks
    ]
    assert encoder.encode_all([], TrainOn.LAST_TURN) == []


def test_a_turn_that_says_so_is_left_out_or_trained(backend: tuple[ModelBackend, str]) -> None:
    models, name = backend
    encoder = models.encoder(models.inspect(ModelSection(name=name)))
    first, second = (replace(TALK.messages[n], trained=False) for n in (2, 4))
    only_last = encoded(encoder, Conversation((*TALK.messages[:2], first, *TALK.messages[3:])))
    assert only_last == encoded(encoder, TALK, TrainOn.LAST_TURN)
    only_first = Conversation((*TALK.messages[:4], second))
    asked = replace(TALK.messages[2], trained=True)
    by_word = Conversation((*TALK.messages[:2], asked, TALK.messages[3], second))
    assert encoded(encoder, only_first) == encoded(encoder, by_word, TrainOn.LAST_TURN)
    whole = encoded(encoder, TALK, TrainOn.EVERYTHING).trained_tokens
    silenced = encoded(encoder, only_first, TrainOn.EVERYTHING).trained_tokens
    assert whole - silenced == encoded(encoder, TALK, TrainOn.LAST_TURN).trained_tokens


def test_documents_are_trained_whole_and_end_once(backend: tuple[ModelBackend, str]) -> None:
    models, name = backend
    encoder = models.encoder(models.inspect(ModelSection(name=name)))
    first, second = encoder.encode_texts(["What is it?", "ж"])
    assert first.labels == first.input_ids
    assert second.labels == second.input_ids
    assert first.input_ids[:1] != second.input_ids[:1]
    assert encoder.encode_texts([]) == []


def test_a_template_in_the_spec_is_used_instead_of_the_tokenizers_own(
    tiny_model: Path, tmp_path: Path
) -> None:
    models = HfModelBackend(FolderCatalog())
    file = tmp_path / "plain.jinja"
    file.write_text(
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}|{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}",
        encoding="utf-8",
    )
    own = models.inspect(ModelSection(name=str(tiny_model)))
    named = models.inspect(ModelSection(name=str(tiny_model), template=str(file)))
    assert named.template == file.read_text(encoding="utf-8")
    assert (own.template, own.has_chat_template, named.has_chat_template) == (None, True, True)
    plain, chatml = models.encoder(named), models.encoder(own)
    assert plain.template_fingerprint != chatml.template_fingerprint
    assert plain.tokenizer_fingerprint == chatml.tokenizer_fingerprint
    row = encoded(plain, TALK)
    assert row != encoded(chatml, TALK)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trained = [token for token in row.labels if token != IGNORED]
    assert tokenizer.decode(trained) == "It is. |In short: ж.|"


def test_counts_equal_the_loaded_network(tiny_model: Path) -> None:
    models = HfModelBackend(FolderCatalog())
    section = ModelSection(name=str(tiny_model))
    loaded = models.load(section, FULL, None)
    network = loaded.network  # type: ignore[attr-defined]
    assert loaded.handle.parameters == sum(weight.numel() for weight in network.parameters())
    assert {group.name for group in loaded.handle.linear} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip


def test_a_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path) -> None:
    rewriting = (
        "{% for m in messages %}{% if m['role'] == 'assistant' and not loop.last %}short{% else %}"
        "{{ m['content'] }}{% endif %}|{% endfor %}"
    )
    folder = build_tiny_model(tmp_path / "rewriting", template=rewriting)
    models = HfModelBackend(FolderCatalog())
    encoder = models.encoder(models.inspect(ModelSection(name=str(folder))))
    found = encoder.encode_all([TALK, TALK], TrainOn.ASSISTANT_TURNS)
    assert [refusal(each).code for each in found] == ["data-template-unstable"] * 2


def test_a_template_that_refuses_says_why(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "refusing", template="{{ raise_exception('no system') }}")
    models = HfModelBackend(FolderCatalog())
    encoder = models.encoder(models.inspect(ModelSection(name=str(folder))))
    (found,) = encoder.encode_all([TALK], TrainOn.ASSISTANT_TURNS)
    assert (refusal(found).code, refusal(found).facts) == (
        "data-template-refused",
        {"reason": "no system"},
    )


def test_code_of_a_repository_is_not_run_unasked(tiny_model: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = tmp_path / "remote"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "its_own", "auto_map": {"AutoConfig": "its.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(HextuneError) as caught:
        HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(folder)))
    assert caught.value.problems[0].code == "model-remote-code"


@pytest.mark.parametrize(
    ("dtype", "bound", "exact"), [("float32", 1e-4, True), ("bfloat16", 0.1, False)]
)
def test_a_merged_model_is_the_trained_one(
    tiny_model: Path, tmp_path: Path, dtype: str, bound: float, exact: bool
) -> None:
    models = HfModelBackend(FolderCatalog())
    handle = with_random_adapter(models.inspect(ModelSection(name=str(tiny_model))), tmp_path)
    report = models.merge(handle, str(tmp_path / "merged"), dtype)
    assert report.max_difference < bound
    assert (report.mean_kl < 1e-10) is exact
    assert (tmp_path / "merged" / "model.safetensors").exists()
    assert models.inspect(ModelSection(name=str(tmp_path / "merged"))).dtype == dtype
    with pytest.raises(HextuneError) as caught:
        models.merge(handle, str(tmp_path / "merged"), dtype)
    assert caught.value.problems[0].code == "file-exists"


def test_a_wrong_merge_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    """The comparison tells a base without its adapter from a base with it."""
    import torch

    from adapters.models.merging import compare_logits

    same = [torch.randn(5, 11)]
    assert compare_logits(same, same) == (0.0, 0.0)
    difference, mean_kl = compare_logits(same, [same[0] + torch.eye(5, 11)])
    assert difference == pytest.approx(1.0)
    assert mean_kl > 0.01


def with_random_adapter(handle: ModelHandle, folder: Path) -> ModelHandle:
    """`handle` with a LoRA adapter that changes its outputs."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    network = AutoModelForCausalLM.from_pretrained(handle.path, dtype=torch.float32)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(network, config).save_pretrained(folder / "adapter")
    return replace(handle, adapters=(str(folder / "adapter"),))


def test_hardware_decides_the_dtype_the_weights_are_loaded_in(tiny_model: Path) -> None:
    import torch

    gpu = Hardware(
        kind=DeviceKind.CUDA,
        name="A100",
        count=1,
        memory_bytes=1,
        free_bytes=1,
        compute_capability=(8, 0),
    )
    policy = choose_precision(PrecisionSection(), gpu)
    loaded = HfModelBackend(FolderCatalog()).load(ModelSection(name=str(tiny_model)), policy, None)
    network = loaded.network  # type: ignore[attr-defined]
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
