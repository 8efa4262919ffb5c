"""BLEU and ROUGE are those of the reference packages, on a thousand English and Chinese pairs."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from adapters.text_metrics import LibraryTextMetrics
from domain.errors import HextuneError
from domain.generation_metrics import bleu_of_all

CLOSE = 1e-6
ALL = ("bleu-4", "rouge-1", "rouge-2", "rouge-l")
METRICS = LibraryTextMetrics()


def xsum(shared_data: Path) -> list[tuple[str, str]]:
    """The first sentence of each document as its summary."""
    lines = (shared_data / "text" / "xsum_docs_1000.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    return [(row["document"].partition(".")[0], row["summary"]) for row in rows[:1000]]


def adgen(shared_data: Path) -> list[tuple[str, str]]:
    """The advertisement of the row before as that of each."""
    lines = (shared_data / "text" / "adgen_dev.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["summary"] for line in lines[:1000]]
    return list(zip([texts[-1], *texts[:-1]], texts, strict=True))


def test_english_is_that_of_the_packages(shared_data: Path) -> None:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import corpus_bleu, sentence_bleu

    pairs = xsum(shared_data)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for answer, reference in pairs:
        found = METRICS.compared(answer, reference, ALL, "en")
        wanted = scorer.score(reference, answer)
        own = [wanted[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")]
        own = [sentence_bleu(answer, [reference]).score / 100, *own]
        assert [found[name] for name in ALL] == pytest.approx(own, abs=CLOSE)
    counts = [METRICS.counts(answer, reference, "en") for answer, reference in pairs]
    wanted = corpus_bleu([a for a, _ in pairs], [[r for _, r in pairs]]).score / 100
    assert bleu_of_all(counts) == pytest.approx(wanted, abs=CLOSE)
    assert wanted > 0.005


def test_chinese_is_that_of_the_packages_on_jiebas_words(shared_data: Path) -> None:
    import jieba
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import corpus_bleu

    class Spaces:
        def tokenize(self, text: str) -> list[str]:
            return text.split()

    pairs = adgen(shared_data)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Spaces())
    cut = [tuple(" ".join(" ".join(jieba.cut(text)).split()) for text in pair) for pair in pairs]
    for (answer, reference), (words, wanted_words) in zip(pairs, cut, strict=True):
        found = METRICS.compared(answer, reference, ALL[1:], "zh")
        wanted = scorer.score(wanted_words, words)
        own = [wanted[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")]
        assert [found[name] for name in ALL[1:]] == pytest.approx(own, abs=CLOSE)
    counts = [METRICS.counts(answer, reference, "zh") for answer, reference in pairs]
    texts = [a for a, _ in cut], [[r for _, r in cut]]
    assert bleu_of_all(counts) == pytest.approx(
        corpus_bleu(*texts, tokenize="none").score / 100, abs=CLOSE
    )


@pytest.mark.parametrize("answer", ["", "zzz", "a b"])
def test_an_answer_without_a_four_word_match_scores(answer: str) -> None:
    from sacrebleu import corpus_bleu

    reference = "a b c d e f"
    found = METRICS.compared(answer, reference, ALL, "en")
    assert all(0 <= value <= 0.5 for value in found.values())
    counts = [METRICS.counts(answer, reference, "en")]
    own = corpus_bleu([answer], [[reference]]).score / 100
    assert bleu_of_all(counts) == pytest.approx(own, abs=CLOSE)


def test_only_what_is_asked_for_is_told() -> None:
    found = METRICS.compared("The cat.", "a cat", ("exact-match", "f1"), "en")
    assert found == {"exact-match": 1.0, "f1": 1.0}
    assert METRICS.compared("我喜欢猫", "我喜欢狗", ("f1",), "zh")["f1"] == pytest.approx(2 / 3)
    (note,) = METRICS.notes(("f1",))
    assert "SQuAD" in note
    assert "sacrebleu 2" in METRICS.notes(ALL)[0]


def test_a_missing_package_is_told_before_anything_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("adapters.packages.version", missing)
    with pytest.raises(HextuneError) as caught:
        METRICS.notes(("rouge-l",))
    (found,) = caught.value.problems
    assert (found.code, found.facts["package"]) == ("package-missing", "rouge-score")
    assert "hextune[eval]" in found.hint
    assert METRICS.notes(("exact-match",))
