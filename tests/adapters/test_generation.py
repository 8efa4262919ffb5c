"""Batches that requests join and leave: steps, slots and queue, and the text out of tokens."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.generation import batch
from adapters.generation.answers import AnswerText, pieces
from adapters.generation.batch import Row, Stepper, stepper_of
from adapters.generation.drawing import Drawing
from adapters.generation.drawn import Drawn
from adapters.generation.mailbox import Mailbox
from adapters.generation.reasoning import ReasoningSplit
from adapters.generation.scheduler import Scheduler
from domain.errors import HextuneError
from domain.sampling import Sampling
from tests.fixtures.tiny_model import tiny_tokenizer

PROMPTS = [list(range(10, 10 + length)) for length in (3, 17, 8, 30, 5)]


class Counting:
    """A network that counts its calls and can be held back."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.rows: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, **inputs: Any) -> Any:
        self.go.wait()
        self.rows.append(inputs["input_ids"].shape[0])
        return self.network(**inputs)


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()


@pytest.fixture
def counting(network: Any) -> Counting:
    return Counting(network)


@pytest.fixture
def scheduler(network: Any, counting: Counting) -> Iterator[Scheduler]:
    made = stepper_of(network, "cpu")
    stepper = Stepper(counting, "cpu", made.layers, made.takes_positions, made.shared)
    opened = Scheduler(stepper, lambda name: None, slots=4, waiting=3)
    yield opened
    counting.go.set()
    opened.close()


def row(prompt: list[int], limit: int = 12, scores: int | None = None, **sampling: Any) -> Row:
    asked = Sampling(**{"temperature": 0.0, **sampling})
    return Row(
        ids=prompt,
        limit=limit,
        ends=frozenset(),
        drawing=Drawing(asked, None, "cpu"),
        mailbox=Mailbox(),
        scores=scores,
    )


def tokens(found: Row) -> list[int]:
    return [drawn.token for drawn in found.mailbox]


def until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_rows_that_join_and_leave_are_generates(
    network: Any, scheduler: Scheduler, counting: Counting
) -> None:
    import torch

    limits = [12, 4, 9, 1, 12]
    rows = [row(prompt, limit) for prompt, limit in zip(PROMPTS, limits, strict=True)]
    counting.go.clear()
    scheduler.submit("m", rows[0])
    until(lambda: scheduler.running or not scheduler._waiting)
    for each in rows[1:4]:
        scheduler.submit("m", each)
    counting.go.set()
    until(lambda: len(scheduler._waiting) < 3)
    scheduler.submit("m", rows[4])
    for each, prompt, limit in zip(rows, PROMPTS, limits, strict=True):
        ids = torch.tensor([prompt])
        whole = network.generate(
            ids, max_new_tokens=limit, do_sample=False, pad_token_id=0, eos_token_id=383
        )
        assert tokens(each) == whole[0, ids.shape[1] :].tolist()
    assert max(counting.rows) > 1
    assert len(counting.rows) < sum(limits)


def test_seeds_are_independent_of_what_else_runs(scheduler: Scheduler) -> None:
    def draw(count: int) -> list[list[int]]:
        rows = [row(PROMPTS[n], temperature=1.0, top_p=0.9, seed=n) for n in range(count)]
        for each in rows:
            scheduler.submit("m", each)
        return [tokens(each) for each in rows]

    together = draw(3)
    assert draw(1)[0] == together[0]
    assert together[0] != together[1]


def test_models_take_turns_and_one_is_switched_at_a_time(network: Any, counting: Counting) -> None:
    switched: list[str] = []
    scheduler = Scheduler(stepper_of(network, "cpu"), switched.append, slots=4, waiting=4)
    rows = [row(PROMPTS[n]) for n in range(4)]
    for number, each in enumerate(rows):
        scheduler.submit("ab"[number % 2], each)
    assert [len(tokens(each)) for each in rows] == [12] * 4
    assert set(switched) == {"a", "b"}
    del switched[:]
    last = row(PROMPTS[0])
    scheduler.submit("a", last)
    assert len(tokens(last)) == 12
    assert set(switched) == {"a"}
    scheduler.close()
    with pytest.raises(HextuneError) as caught:
        scheduler.submit("a", row(PROMPTS[0]))
    assert caught.value.problems[0].code == "server-stopping"


def test_one_too_many_is_told_to_come_again(scheduler: Scheduler, counting: Counting) -> None:
    counting.go.clear()
    rows = [row(PROMPTS[0], limit=2) for _ in range(5)]
    scheduler.submit("m", rows[0])
    until(lambda: not scheduler._waiting)
    for each in rows[1:4]:
        scheduler.submit("m", each)
    with pytest.raises(HextuneError) as caught:
        scheduler.submit("m", rows[4])
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["waiting"]) == ("engine-busy", "3")
    counting.go.set()
    assert tokens(rows[0])


def test_a_cancelled_row_frees_its_slot_at_the_next_step(scheduler: Scheduler) -> None:
    rows = [row(PROMPTS[n], limit=400) for n in range(4)]
    for each in rows:
        until(lambda: not scheduler._waiting)
        scheduler.submit("m", each)
    until(lambda: scheduler.running == 4)
    waiting = row(PROMPTS[4], limit=1)
    scheduler.submit("m", waiting)
    rows[2].mailbox.cancel()
    assert len(tokens(waiting)) == 1
    assert not rows[0].done
    for each in rows:
        each.mailbox.cancel()
    until(lambda: scheduler.running == 0)


def test_a_batch_that_breaks_ends_its_answers_and_no_others(
    scheduler: Scheduler, counting: Counting
) -> None:
    whole, counting.network = counting.network, None
    broken = row(PROMPTS[0])
    scheduler.submit("m", broken)
    with pytest.raises(TypeError):
        tokens(broken)
    counting.network = whole
    mended = row(PROMPTS[0])
    scheduler.submit("m", mended)
    assert len(tokens(mended)) == 12


def test_a_prompt_is_scored_in_chunks(
    network: Any, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(batch, "CHUNK", 7)
    scored = row(PROMPTS[3], limit=2, scores=2)
    scheduler.submit("m", scored)
    told, *drawn = list(scored.mailbox)
    with torch.no_grad():
        logps = network(torch.tensor([PROMPTS[3]])).logits[0].log_softmax(-1)
    assert told[0] == Drawn(PROMPTS[3][0])
    for place, each in enumerate(told[1:]):
        assert each.logprob == pytest.approx(float(logps[place, each.token]), abs=1e-4)
        assert each.top[0][1] == pytest.approx(float(logps[place].max()), abs=1e-4)
    assert drawn[0].token == int(logps[-1].argmax())


def test_a_network_that_keeps_more_takes_rows_one_by_one(network: Any) -> None:
    made = stepper_of(network, "cpu")
    assert made.shared
    counting = Counting(network)
    alone = Scheduler(Stepper(counting, "cpu", 0, made.takes_positions, False), lambda name: None)
    rows = [row(PROMPTS[n], limit=3) for n in range(3)]
    for each in rows:
        alone.submit("m", each)
    assert [len(tokens(each)) for each in rows] == [3] * 3
    assert set(counting.rows) == {1}
    alone.close()


def test_penalties_are_openais() -> None:
    """logit - count * frequency - (count > 0) * presence, of the answer's own tokens."""
    import torch

    logits = torch.tensor([1.0, 5.0, 4.5, 0.0])
    drawing = Drawing(
        Sampling(temperature=0.0, frequency_penalty=0.3, presence_penalty=0.1), None, "cpu"
    )
    # 5.0 | 4.6 (1: .3+.1) > 4.5 | 4.3 < 4.5 | 4.3 (2: 4.1) | 4.1 (1: 4.0)
    assert [drawing.draw(logits).token for _ in range(5)] == [1, 1, 2, 1, 2]


def test_top_p_keeps_the_smallest_set() -> None:
    import torch

    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawing = Drawing(Sampling(top_p=0.75, seed=1), None, "cpu")
    assert {drawing.draw(logits).token for _ in range(200)} == {0, 1}


TOKENIZER = tiny_tokenizer()


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=40),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2),
)
def test_pieces_join_to_the_text_before_a_stop(text: str, stop: list[str]) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    drawn = [Drawn(token, -1.0) for token in ids]
    found = list(pieces(drawn, AnswerText(TOKENIZER, tuple(stop), None), frozenset(), 5))
    whole = TOKENIZER.decode(ids, skip_special_tokens=True)
    ends = [(whole.find(each) + len(each), whole.find(each)) for each in stop if each in whole]
    assert "".join(delta.text for delta in found) == (whole[: min(ends)[1]] if ends else whole)
    assert found[-1].finish_reason == ("stop" if ends else "length")
    told = [each for delta in found for each in delta.logprobs]
    if not ends:
        assert len(told) == len(ids)


@settings(max_examples=100, deadline=None)
@given(
    thought=st.text(alphabet="ab <>/think\n", max_size=12),
    answer=st.text(alphabet="ab <>/\n", max_size=12),
    inside=st.booleans(),
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
def test_a_thought_is_split_the_same_however_it_is_cut(
    thought: str, answer: str, inside: bool, cuts: list[int]
) -> None:
    whole = ("" if inside else "<think>") + thought + "</think>" + answer

    def split(parts: list[str]) -> tuple[str, str]:
        splitting = ReasoningSplit(inside)
        found = [splitting.feed(part) for part in parts] + [splitting.finish()]
        return "".join(text for text, _ in found), "".join(said for _, said in found)

    parts, rest, number = [], whole, 0
    while rest:
        size = cuts[number % len(cuts)]
        parts.append(rest[:size])
        rest, number = rest[size:], number + 1
    assert split(parts) == split([whole])
    if "</think>" not in thought:
        assert split(parts) == (answer.lstrip(), thought.lstrip())


def test_text_without_a_thought_is_all_answer() -> None:
    splitting = ReasoningSplit(False)
    found = [splitting.feed(part) for part in ("<th", "ose", " <think>")] + [splitting.finish()]
    assert "".join(text for text, _ in found) == "<those <think>"
    assert all(not thought for _, thought in found)
