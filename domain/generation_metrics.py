"""How free answers are measured, as far as no library is needed.

Exact match and F1 follow SQuAD's evaluation script (Rajpurkar et al. 2016); pass@k is the unbiased
estimator of Chen et al. 2021, equation 1: 1 - C(n - c, k) / C(n, k). BLEU of all answers together
follows Papineni et al. 2002, with the smoothing of Chen and Cherry 2014 (method 3) that sacrebleu
calls exp.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
CHINESE = re.compile("[\u3400-\u9fff]")
FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
RATING = re.compile(r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]")
ORDERS = 4
"""Longest n-grams of BLEU."""

Words = Callable[[str], Sequence[str]]
"""Cuts a text into words."""


def normal(text: str) -> str:
    """Small letters without punctuation, articles and spare spaces, as SQuAD compares answers."""
    kept = "".join(each for each in text.lower() if each not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", kept).split())


def exact_match(answer: str, reference: str) -> float:
    """1 where both are the same after `normal`, else 0."""
    return float(normal(answer) == normal(reference))


def f1(answer: str, reference: str, words: Words = str.split) -> float:
    """Harmonic mean of precision and recall over the words both have; 0 where they share none."""
    found, wanted = words(normal(answer)), words(normal(reference))
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def is_chinese(text: str) -> bool:
    """Whether there is a Chinese character in it."""
    return CHINESE.search(text) is not None


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """How likely one of k programs passes, where `passed` of `samples` do; k <= samples."""
    return 1 - math.comb(samples - passed, k) / math.comb(samples, k)


def program_of(answer: str, task: str, entry: str) -> str:
    """The program of an answer: its fenced code, or all of it.

    Where the task is the head of a function, what stands before the head comes first, and the head
    itself too where the answer goes on with it and does not define the function anew.
    """
    fenced: list[str] = FENCED.findall(answer)
    code = "\n".join(fenced) if fenced else answer
    head = f"def {entry}("
    if not entry or head not in task:
        return code
    return f"{task.partition(head)[0]}{code}" if head in code else f"{task}{code}"


def rating_of(judgement: str, lowest: float, highest: float) -> float | None:
    """The last number in double brackets; None where there is none on the scale."""
    found: list[str] = RATING.findall(judgement)
    if not found or not lowest <= float(found[-1]) <= highest:
        return None
    return float(found[-1])


def bleu_of_all(counts: Sequence[Sequence[float]]) -> float:
    """BLEU-4 between 0 and 1 of all answers together, from the counts of each.

    The counts of an answer are the n-grams of each order that its reference has, the n-grams of
    each order it has itself, its words, and the words of its reference.
    """
    sums = [sum(column) for column in zip(*counts, strict=True)]
    right, total, (words, wanted) = sums[:ORDERS], sums[ORDERS : 2 * ORDERS], sums[-2:]
    if not right[0]:
        return 0.0
    logs, smooth = 0.0, 1.0
    for matched, of in zip(right, total, strict=True):
        if not of:
            return 0.0
        smooth *= 1 if matched else 2
        logs += math.log(matched / of if matched else 1 / (smooth * of))
    brevity = min(0.0, 1 - wanted / words)
    return math.exp(logs / ORDERS + brevity)
