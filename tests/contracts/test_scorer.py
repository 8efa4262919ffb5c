"""What every Scorer promises; where there is a network, its figures are those of plain forwards."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.scorers import transformers as scorers
from domain.errors import HextuneError
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.scoring import ScoredGroup, ScoredItem, ScoredTokens
from ports.scorer import Scorer
from tests.fakes.scoring import FakeScorer

CLOSE = 2e-4
"""Nats; sums of a few float32 log-probabilities in another order."""
SHOT = "What is the capital of the question? A. it B. is Answer: A\n\n"
ITEMS = [
    ScoredItem(text=text, continuations=continuations)
    for text, continuations in (
        ("In short: it is", (" A", " B", " C")),
        ("What? Answer:", (" the capital", " of the question, at length", " A")),
        ("A much longer text, so that rows are padded, and then Answer:", (" A", " B")),
        ("ж 中 Answer:", (" да", "中文")),
        ("What? ends in a space: ", ("A", "it is")),
    )
] + [ScoredItem(text=f"Number {n} Answer:", continuations=(" A", " B")) for n in range(12)]


@pytest.fixture(scope="module")
def resolved(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    """The tiny model under a LoRA adapter that changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    torch.manual_seed(1)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapters") / "random"
    get_peft_model(network, settings).save_pretrained(folder)
    handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(tiny_model)))
    return ResolvedModel(
        label="tuned", handle=replace(handle, adapters=(str(folder),)), created_at=1.0
    )


@pytest.fixture(scope="module", params=["fake", *FolderCatalog().names("scorers")])
def scorer(request: pytest.FixtureRequest, resolved: ResolvedModel) -> Iterator[Scorer]:
    made: Scorer = (
        FakeScorer(resolved)
        if request.param == "fake"
        else FolderCatalog()
        .part("scorers", request.param)
        .Scorer(resolved, TorchHardware().probe())
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def real(resolved: ResolvedModel) -> scorers.Scorer:
    return scorers.Scorer(resolved, TorchHardware().probe())


class Plain:
    """One forward pass for each text, without a cache or a batch."""

    def __init__(self, resolved: ResolvedModel, *, tuned: bool) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        path = resolved.handle.path
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        network = AutoModelForCausalLM.from_pretrained(path)
        if tuned:
            network = PeftModel.from_pretrained(network, resolved.handle.adapters[0])
        self.network: Any = network.eval()

    def logp(self, before: str, continuation: str) -> float:
        """Of what follows `before` without the spaces at its end."""
        ids = self.tokenizer(before + continuation)["input_ids"]
        context = len(self.tokenizer(before.rstrip(" "))["input_ids"])
        if not context:
            ids, context = [self.tokenizer.eos_token_id, *ids], 1
        return self.of_tokens(ids, range(context, len(ids)))

    def of_tokens(self, ids: Sequence[int], counted: Sequence[int]) -> float:
        import torch

        with torch.inference_mode():
            logits_TV = self.network(input_ids=torch.tensor([ids])).logits[0]
        logps_TV = logits_TV.double().log_softmax(-1)
        return float(sum(logps_TV[n - 1, ids[n]] for n in counted))


def scores(scorer: Scorer, prefix: str, model: str, items: Sequence[ScoredItem] = ITEMS) -> Any:
    return dict(scorer.score(ScoredGroup(prefix=prefix, items=items), model))


def test_it_scores_the_tuned_model_and_its_base(scorer: Scorer, resolved: ResolvedModel) -> None:
    assert [model.name for model in scorer.models()] == ["tuned", resolved.handle.name]


@pytest.mark.parametrize("prefix", ["", SHOT])
def test_every_item_comes_once_with_a_score_for_each_continuation(
    scorer: Scorer, prefix: str
) -> None:
    found = list(scorer.score(ScoredGroup(prefix=prefix, items=ITEMS), "tuned"))
    assert sorted(number for number, _ in found) == list(range(len(ITEMS)))
    for number, each in found:
        assert each is not None
        assert len(each) == len(ITEMS[number].continuations)
        assert all(score <= 0 for score in each)


def test_an_item_longer_than_the_context_is_none_and_the_others_are_scored(scorer: Scorer) -> None:
    items = [ITEMS[0], ScoredItem(text="long " * 600, continuations=(" A", " B")), ITEMS[1]]
    found = scores(scorer, SHOT, "tuned", items)
    assert found[1] is None
    assert found[0] is not None
    assert found[2] is not None
    assert scores(scorer, SHOT, "tuned", items[1:2]) == {0: None}


def test_no_item_gives_no_score(scorer: Scorer) -> None:
    assert scores(scorer, SHOT, "tuned", []) == {}
    assert list(scorer.score_tokens([], "tuned")) == []


def test_an_unknown_model_is_refused(scorer: Scorer) -> None:
    row = ScoredTokens(ids=(5, 6), counted=(False, True))
    for ask in (
        lambda: scores(scorer, "", "nobody"),
        lambda: list(scorer.score_tokens([row], "nobody")),
    ):
        with pytest.raises(HextuneError) as caught:
            ask()
        assert caught.value.problems[0].code == "model-not-served"


@pytest.mark.parametrize("tuned", [True, False])
@pytest.mark.parametrize("prefix", ["", SHOT, SHOT * 4])
def test_scores_are_those_of_plain_forwards(
    real: scorers.Scorer, resolved: ResolvedModel, prefix: str, tuned: bool
) -> None:
    plain = Plain(resolved, tuned=tuned)
    found = scores(real, prefix, "tuned" if tuned else resolved.handle.name)
    for number, item in enumerate(ITEMS):
        wanted = [plain.logp(prefix + item.text, each) for each in item.continuations]
        assert found[number] == pytest.approx(wanted, abs=CLOSE), item.text


def test_the_first_token_of_an_empty_text_follows_the_end_token(
    real: scorers.Scorer, resolved: ResolvedModel
) -> None:
    items = [ScoredItem(text="", continuations=("What", "it is"))]
    plain = Plain(resolved, tuned=True)
    wanted = [plain.logp("", each) for each in items[0].continuations]
    assert scores(real, "", "tuned", items)[0] == pytest.approx(wanted, abs=CLOSE)


def test_base_and_adapter_can_be_asked_in_turns(
    real: scorers.Scorer, resolved: ResolvedModel
) -> None:
    """A scoring that was begun and left does not leave the adapter off."""
    wanted = scores(real, SHOT, "tuned")
    begun = real.score(ScoredGroup(prefix=SHOT, items=ITEMS), resolved.handle.name)
    next(begun)
    assert scores(real, SHOT, "tuned") == wanted
    assert wanted != scores(real, SHOT, resolved.handle.name)


def test_token_scores_are_those_of_plain_forwards(
    real: scorers.Scorer, resolved: ResolvedModel
) -> None:
    plain = Plain(resolved, tuned=True)
    rows = [
        ScoredTokens(
            ids=tuple((7 * n + k) % 250 for k in range(n)),
            counted=tuple(k > 0 and (k + n) % 3 > 0 for k in range(n)),
        )
        for n in (2, 40, 511, 512, 3, 90, 512, 512, 512, 1)
    ]
    found = dict(real.score_tokens(rows, "tuned"))
    assert sorted(found) == list(range(len(rows)))
    for number, row in enumerate(rows):
        counted = [n for n, flag in enumerate(row.counted) if flag]
        assert found[number] == pytest.approx(plain.of_tokens(row.ids, counted), abs=1e-2, rel=1e-6)


@pytest.fixture
def seen(real: scorers.Scorer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens have gone through the network, padding counted."""
    network, seen = real._network, [0]

    def counting(*arguments: Any, **named: Any) -> Any:
        seen[0] += named["input_ids"].numel()
        return network(*arguments, **named)

    counting.disable_adapter = network.disable_adapter  # type: ignore[attr-defined]
    monkeypatch.setattr(real, "_network", counting)
    return seen


def test_little_of_what_is_read_is_padding(real: scorers.Scorer, seen: list[int]) -> None:
    texts = [f"{'it is ' * 4**n}Answer:" for n in (0, 0, 1, 1, 2, 2)]
    items = [ScoredItem(text=text, continuations=(" A", " B")) for text in texts]
    scores(real, "", "tuned", items)
    assert seen[0] <= sum(len(real._ids(text)) for text in {*texts}) * 1.25


def test_the_common_beginning_is_read_once(real: scorers.Scorer, seen: list[int]) -> None:
    """Tokens that go through the network grow with the questions, not with the examples."""
    cost = []
    for prefix in (SHOT, SHOT * 5):
        seen[0] = 0
        scores(real, prefix, "tuned")
        cost.append(seen[0])
    more = 4 * len(real._ids(SHOT))
    assert cost[1] - cost[0] <= more + 2
