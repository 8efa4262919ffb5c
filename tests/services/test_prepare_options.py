"""Preparing data by options: kinds, cuts, packing, mixing, flags of turns, the cache."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.conversation import Conversation
from domain.dataset import Columns, DatasetKind, DataSource
from domain.errors import HextuneError
from domain.masking import IGNORED, EncodedRow, TrainOn
from domain.prepared import PreparedData
from entrypoints.services import prepare_data
from tests.fakes.models import FakeEncodedCache, FakeEncoder
from tests.services.preparing import LONG, Rows, asking, good, prepare, refused, sources, text

# -- kinds of rows --------------------------------------------------------------------------------

RANKED: dict[str, object] = {"instruction": "Q", "chosen": "good", "rejected": "bad"}


@pytest.mark.parametrize(
    ("rows", "eats", "kind"),
    [
        ([good(), RANKED], DatasetKind.PREFERENCE, "conversation"),
        ([RANKED], DatasetKind.CONVERSATION, "preference"),
        ([{"text": "T"}], DatasetKind.CONVERSATION, "text"),
        ([good()], DatasetKind.TEXT, "conversation"),
    ],
)
def test_rows_a_stage_cannot_use_are_refused(rows: Rows, eats: DatasetKind, kind: str) -> None:
    single = (DataSource(path="a.jsonl", ranking=False),)
    train = single if kind == "conversation" else sources("a.jsonl")
    for section in ({"train": train}, {"train": sources("b"), "eval": train}):
        files = {"a.jsonl": rows[:1], "b": FITTING[eats]}
        found = refused(files, asked=asking(stage="x", eats=eats), **section)
        assert [(item.code, str(item.place)) for item in found] == [
            ("data-kind-unfit", "a.jsonl:1")
        ]
        assert found[0].facts == {
            "stage": "x", "eats": eats.value, "path": "a.jsonl", "kind": kind
        }  # fmt: skip


FITTING: dict[DatasetKind, Rows] = {
    DatasetKind.CONVERSATION: [good()],
    DatasetKind.PREFERENCE: [RANKED],
    DatasetKind.TEXT: [{"text": "T"}],
}


def test_documents_are_trained_whole() -> None:
    asked = asking(stage="pretrain", eats=DatasetKind.TEXT)
    data = prepare({"a.jsonl": [{"text": "one"}, {"text": "two!"}]}, asked=asked)
    assert [text(row) for row in data.train] == ["one", "two!"]
    assert data.trained_tokens == data.train_tokens == 7
    assert dict(data.formats) == {"a.jsonl": "text"}


# -- what is done with long rows ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "kept", "became"),
    [
        ("drop", [], "dropped"),
        ("cut_left", ["x" * 49 + "\n"], "cut_left, 1 kept"),
        ("cut_right", ["user: Q\nassistant: " + "x" * 31], "cut_right, 1 kept"),
        (
            "split",
            ["user: Q\nassistant: " + "x" * 31, "x" * 50, "x" * 19 + "\n"],
            "split, 3 kept",
        ),
    ],
)
def test_long_rows_become_what_was_asked_and_are_listed(
    policy: str, kept: list[str], became: str
) -> None:
    data = prepare({"a.jsonl": [LONG, good()]}, max_tokens=50, over_long=policy)
    assert [text(row) for row in data.train] == [*kept, "user: Question 0?\nassistant: Answer 0.\n"]
    assert list(data.too_long) == [f"a.jsonl:1 120 tokens, {became}"]
    for row in data.train:
        assert len(row.input_ids) == len(row.labels) <= 50
        pairs = zip(row.input_ids, row.labels, strict=True)
        assert all(label in (IGNORED, token) for token, label in pairs)


def test_pieces_that_train_nothing_are_left_out() -> None:
    asked: dict[str, object] = {"instruction": "q" * 100, "output": "A"}
    right = prepare({"a.jsonl": [asked]}, max_tokens=50, over_long="cut_right")
    assert (list(right.train), list(right.too_long)) == ([], ["a.jsonl:1 120 tokens, dropped"])
    halves = prepare({"a.jsonl": [asked]}, max_tokens=50, over_long="split")
    assert [text(row) for row in halves.train] == ["q" * 6 + "\nassistant: A\n"]
    assert list(halves.too_long) == ["a.jsonl:1 120 tokens, split, 1 kept"]


def test_pieces_of_one_row_are_held_out_together() -> None:
    rows: Rows = [{"instruction": "Q", "output": str(n) * 200} for n in range(6)]
    for seed in range(5):
        data = prepare(
            {"a.jsonl": rows},
            asked=asking(seed=seed),
            max_tokens=50,
            over_long="split",
            eval_fraction=0.4,
        )
        trained = {text(row)[-2] for row in data.train}
        held_out = {text(row)[-2] for row in data.eval}
        assert (len(trained | held_out), len(held_out)) == (6, 2)
        assert not trained & held_out


# -- packing --------------------------------------------------------------------------------------


def test_rows_are_packed_where_asked() -> None:
    rows: Rows = [{"instruction": "Q", "output": "x" * length} for length in (5, 30, 60, 10)]
    asked = asking(packing=True)
    data = prepare({"a.jsonl": rows}, asked=asked, max_tokens=90)
    assert data.packs is not None
    assert sorted(n for each in data.packs for n in each) == [0, 1, 2, 3]
    lengths = [len(row.input_ids) for row in data.train]
    assert lengths == [25, 50, 80, 30]
    assert [[lengths[n] for n in each] for each in data.packs] == [[80], [50, 30], [25]]
    assert (data.sequences, data.longest) == (3, 80)
    assert prepare({"a.jsonl": rows}).packs is None


# -- several sources ------------------------------------------------------------------------------

TWO: dict[str, Rows] = {
    "a": [{"instruction": f"a{n}", "output": "A"} for n in range(10)],
    "b": [{"instruction": f"b{n}", "output": "B"} for n in range(4)],
}


def questions(data: PreparedData) -> list[str]:
    return [text(row).split("\n")[0].removeprefix("user: ") for row in data.train]


def asked_of(files: Mapping[str, Rows]) -> list[str]:
    return [str(row["instruction"]) for rows in files.values() for row in rows]


def test_sources_are_interleaved_by_the_seed() -> None:
    def mixed(strategy: str, seed: int = 1) -> list[str]:
        asked = asking(seed=seed)
        return questions(prepare(TWO, asked=asked, train=sources("a", "b"), mix=strategy))

    assert mixed("concat") == asked_of(TWO)
    once = mixed("interleave_once")
    assert sorted(once) == sorted(asked_of(TWO))
    assert once != asked_of(TWO)
    assert once == mixed("interleave_once") != mixed("interleave_once", seed=2)
    assert len(mixed("interleave_under")) < len(once) < len(mixed("interleave_over"))


def test_the_fingerprint_follows_the_mixed_rows() -> None:
    prints = {
        prepare(TWO, asked=asking(seed=seed), train=sources("a", "b"), mix="interleave_once")
        .fingerprint
        for seed in (1, 1, 2)
    }  # fmt: skip
    assert len(prints) == 2


def test_a_number_of_samples_takes_so_many_of_each_source() -> None:
    train = (
        DataSource(path="a", num_samples=3, sample="first"),
        DataSource(path="b", num_samples=6),
    )
    data = prepare(TWO, train=train)
    taken = questions(data)
    assert taken[:3] == ["a0", "a1", "a2"]
    assert len(taken) == 9
    assert set(taken[3:]) == {"b0", "b1", "b2", "b3"}
    assert data.rows_read == 14
    other = questions(prepare(TWO, train=train, asked=asking(seed=9)))
    assert (other[:3], other[3:] != taken[3:]) == (taken[:3], True)


def test_rows_that_are_repeated_are_counted_once_and_never_on_both_sides() -> None:
    train = (DataSource(path="a"), DataSource(path="b", weight=9))
    for seed in range(5):
        data = prepare(
            TWO, asked=asking(seed=seed), train=train, mix="interleave_over", eval_fraction=0.3
        )
        assert data.rows_read == 14
        held_out = {text(row) for row in data.eval}
        assert len(held_out) == 4
        assert not held_out & {text(row) for row in data.train}
        assert len(data.train) + len(data.eval) > 14


def test_max_samples_takes_the_first_of_the_mixed_rows() -> None:
    whole = questions(prepare(TWO, train=sources("a", "b"), mix="interleave_once"))
    data = prepare(TWO, train=sources("a", "b"), mix="interleave_once", max_samples=5)
    assert questions(data) == whole[:5]
    assert data.rows_read == 14


# -- turns that say whether they are trained -------------------------------------------------------


def said(*turns: tuple[str, str, dict[str, object]]) -> dict[str, object]:
    messages = [{"role": role, "content": content, **more} for role, content, more in turns]
    return {"messages": messages}


@pytest.mark.parametrize(
    ("train_on", "trained"),
    [
        ("assistant_turns", "two\nthree\n"),
        ("last_turn", "two\nthree\n"),
        ("everything", "user: q\nassistant: user: q\nassistant: two\nuser: q\nassistant: three\n"),
    ],
)
def test_flags_of_turns_are_honoured(train_on: str, trained: str) -> None:
    row = said(
        ("user", "q", {}),
        ("assistant", "one", {"train": False}),
        ("user", "q", {}),
        ("assistant", "two", {"loss_weight": 1}),
        ("user", "q", {}),
        ("assistant", "three", {}),
    )
    (found,) = prepare({"a.jsonl": [row]}, train_on=train_on).train
    labels = [label for label in found.labels if label != IGNORED]
    assert "".join(map(chr, labels)) == trained


def test_a_flag_changes_the_fingerprint() -> None:
    marks: list[dict[str, object]] = [{}, {"train": True}, {"train": False}]
    rows = [said(("user", "q", {}), ("assistant", "a", mark)) for mark in marks]
    assert len({prepare({"a.jsonl": [row]}).fingerprint for row in rows}) == 3


class Noting(FakeEncoder):
    """An encoder that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Conversation] = []

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> Sequence[EncodedRow | HextuneError]:
        self.given += conversations
        return super().encode_all(conversations, train_on)


@pytest.mark.parametrize(("reasoning", "thought"), [("keep", "hm"), ("drop", None)])
def test_reasoning_is_handed_on_or_left_out(reasoning: str, thought: str | None) -> None:
    encoder = Noting()
    row = said(("user", "q", {}), ("assistant", "a", {"reasoning_content": "hm"}))
    prepare({"a.jsonl": [row]}, encoder=encoder, reasoning=reasoning)
    assert [talk.messages[-1].reasoning for talk in encoder.given] == [thought]
    assert [talk.messages[-1].content for talk in encoder.given] == ["a"]


# -- the cache ------------------------------------------------------------------------------------


def test_rows_are_encoded_once_and_anew_where_anything_changes() -> None:
    cache, encoder = FakeEncodedCache(), Noting()

    def encodings(row: dict[str, object], **section: Any) -> int:
        before = len(encoder.given)
        prepare({"a.jsonl": [row]}, encoder=encoder, cache=cache, **section)
        return len(encoder.given) - before

    talk = said(("user", "q", {}), ("assistant", "a", {}))
    silent = said(("user", "q", {}), ("assistant", "a", {"train": False}))
    assert [encodings(talk), encodings(talk)] == [1, 0]
    assert [encodings(silent), encodings(silent)] == [1, 0]
    assert [encodings(talk, train_on="everything"), encodings(talk)] == [1, 0]
    assert encodings(talk, reasoning="drop") == 1
    assert encodings(talk, max_tokens=8, over_long="cut_left") == 0
    for name in ("template_fingerprint", "tokenizer_fingerprint"):
        setattr(encoder, name, "another")
        assert [encodings(talk), encodings(talk)] == [1, 0]


def test_rows_from_the_cache_are_the_encoded_ones() -> None:
    cache = FakeEncodedCache()
    rows: Rows = [good(1), LONG, good(2)]
    first, second = (
        prepare({"a.jsonl": rows}, cache=cache, max_tokens=50, over_long="split") for _ in range(2)
    )
    assert first == second == prepare({"a.jsonl": rows}, max_tokens=50, over_long="split")


class Breaking(Noting):
    """An encoder that is interrupted when it comes to its second part."""

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> Sequence[EncodedRow | HextuneError]:
        if self.given:
            raise KeyboardInterrupt
        return super().encode_all(conversations, train_on)


def test_an_encoding_that_was_cut_off_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prepare_data, "CACHED_ROWS", 4)
    files, cache = {"a.jsonl": [good(number) for number in range(10)]}, FakeEncodedCache()
    with pytest.raises(KeyboardInterrupt):
        prepare(files, encoder=Breaking(), cache=cache)
    rest = Noting()
    prepared = prepare(files, encoder=rest, cache=cache)
    assert len(prepared.train) == 10
    assert len(rest.given) == 6
    assert prepared.train == prepare(files).train


# -- answers that are compared or judged ----------------------------------------------------------


def test_a_preference_is_its_chosen_and_its_rejected_sequence() -> None:
    cache = FakeEncodedCache()
    asked = asking(eats=DatasetKind.PREFERENCE, stage="dpo")
    for _ in range(2):
        data = prepare({"a.jsonl": [RANKED]}, asked=asked, cache=cache, train_on="everything")
        (row,) = data.train
        assert row.rejected is not None
        assert [text(each).split("\n")[-2] for each in row.sequences] == [
            "assistant: good",
            "assistant: bad",
        ]
        assert row.prompt_tokens == len("user: Q\nassistant: ")
        assert data.longest == len(row.input_ids)
        assert data.train_tokens == row.tokens == len(row.input_ids) + len(row.rejected.input_ids)


def test_feedback_rows_say_whether_the_answer_was_liked() -> None:
    source = DataSource(path="a.jsonl", columns=Columns(kto_tag="tag"))
    rows = [{**good(), "tag": True}, {**good(1), "tag": False}]
    asked = asking(eats=DatasetKind.FEEDBACK, stage="kto")
    data = prepare({"a.jsonl": rows}, asked=asked, train=(source,))
    assert [row.liked for row in data.train] == [True, False]


def test_an_over_long_answer_drops_its_pair() -> None:
    ranked = {"instruction": "Q", "chosen": "good", "rejected": "x" * 100}
    asked = asking(eats=DatasetKind.PREFERENCE, stage="dpo")
    data = prepare({"a.jsonl": [ranked, RANKED]}, asked=asked, max_tokens=50)
    assert len(data.train) == 1
    assert len(data.too_long) == 1


def test_documents_are_split_where_nothing_is_said() -> None:
    asked = asking(eats=DatasetKind.TEXT, stage="pretrain")
    data = prepare({"a.jsonl": [{"text": "x" * 25}]}, asked=asked, max_tokens=10)
    assert [len(row.input_ids) for row in data.train] == [10, 10, 5]
