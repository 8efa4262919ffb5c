"""Scores of answers: BLEU by sacrebleu, ROUGE by rouge-score, Chinese words by jieba.

An answer's BLEU-4 is sacrebleu's of one sentence (effective order, as shorter answers have no
4-grams; smoothing exp; tokenizer 13a). ROUGE is rouge-score's F, with its stemmer for English.
Chinese is cut into words by jieba first, for both.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from adapters.packages import require_package
from domain.generation_metrics import exact_match, f1

ROUGE = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-l": "rougeL"}
"""Our names to rouge-score's."""
NEEDS = {
    "bleu-4": ("sacrebleu", "jieba"),
    **dict.fromkeys(ROUGE, ("rouge-score", "jieba")),
    "f1": ("jieba",),
}
"""Packages of each score; Chinese may turn up in any row."""


class LibraryTextMetrics:
    """Implements ports.text_metrics.TextMetrics."""

    def compared(
        self, answer: str, reference: str, scores: Sequence[str], language: str
    ) -> Mapping[str, float]:
        """Each of the scores by name, between 0 and 1."""
        found: dict[str, float] = {}
        if any(name in ROUGE for name in scores):
            rouge = _rouge(language).score(reference, answer)
            found = {name: float(rouge[own].fmeasure) for name, own in ROUGE.items()}
        if "bleu-4" in scores:
            texts = _spaced(answer, language), [_spaced(reference, language)]
            found["bleu-4"] = float(_bleu(language).sentence_score(*texts).score) / 100
        if "exact-match" in scores:
            found["exact-match"] = exact_match(answer, reference)
        if "f1" in scores:
            found["f1"] = f1(answer, reference, words if language == "zh" else str.split)
        return {name: found[name] for name in scores}

    def counts(self, answer: str, reference: str, language: str) -> Sequence[float]:
        """sacrebleu's n-gram counts of one answer."""
        texts = _spaced(answer, language), [_spaced(reference, language)]
        made = _bleu(language).sentence_score(*texts)
        return [*made.counts, *made.totals, made.sys_len, made.ref_len]

    def notes(self, scores: Sequence[str]) -> Sequence[str]:
        """The packages with their versions. Raises HextuneError where one is missing."""
        for score in scores:
            for package in NEEDS.get(score, ()):
                require_package(package, extra="eval", field="answers.scores", name=score)
        told = []
        if "bleu-4" in scores:
            told.append(
                f"bleu-4: the mean of sentences' BLEU by sacrebleu {version('sacrebleu')}, "
                "effective order, smoothing exp, tokenizer 13a; Chinese cut by jieba"
            )
        if any(name in ROUGE for name in scores):
            told.append(
                f"rouge: F by rouge-score {version('rouge-score')}, English with its stemmer; "
                "Chinese cut by jieba"
            )
        if {"exact-match", "f1"} & {*scores}:
            told.append("exact-match, f1: without case, punctuation and articles, as SQuAD's")
        return told


class JiebaTokenizer:
    """rouge-score's tokenizer protocol."""

    def tokenize(self, text: str) -> list[str]:
        """The words."""
        return words(text)


def words(text: str) -> list[str]:
    """Chinese words, spaces left out."""
    return [word for word in _jieba().lcut(text) if word.strip()]


def _spaced(text: str, language: str) -> str:
    return " ".join(words(text)) if language == "zh" else text


@cache
def _jieba() -> Any:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba


@cache
def _bleu(language: str) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True, tokenize="none" if language == "zh" else "13a")


@cache
def _rouge(language: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    names = list(ROUGE.values())
    if language == "zh":
        return RougeScorer(names, tokenizer=JiebaTokenizer())
    return RougeScorer(names, use_stemmer=True)
