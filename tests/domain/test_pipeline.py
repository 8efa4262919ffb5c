"""Values of a pipeline's steps, and answers that become preferences."""

import pytest

from domain.conversation import Message, Role
from domain.dataset import DatasetKind, StandardRow
from domain.pairing import (
    Written,
    mean_score,
    pairs_of,
    question_of,
    score_of,
    seed_of,
    standing_in,
)
from domain.pipeline import (
    GenerateSection,
    PipelineSpec,
    PipelineStep,
    joined,
    model_over,
    references,
    replaced,
)

ROW = StandardRow(
    kind=DatasetKind.CONVERSATION,
    prompt=(Message(Role.USER, "What?"),),
    responses=(Message(Role.ASSISTANT, "This."),),
)


def test_a_steps_own_values_win_and_the_others_stay() -> None:
    shared = {"method": {"name": "lora", "rank": 8}, "seed": 1, "data": {"train": [{"path": "a"}]}}
    own = {"method": {"rank": 4}, "data": {"train": [{"path": "b"}], "max_tokens": 9}}
    assert joined(shared, own) == {
        "method": {"name": "lora", "rank": 4},
        "seed": 1,
        "data": {"train": [{"path": "b"}], "max_tokens": 9},
    }
    assert shared["method"] == {"name": "lora", "rank": 8}


def test_options_of_one_method_do_not_join_another() -> None:
    shared = {"method": {"name": "lora", "rank": 8}}
    assert joined(shared, {"method": {"name": "full"}}) == {"method": {"name": "full"}}
    assert joined({"method": {"rank": 8}}, {"method": {"name": "lora"}}) == {
        "method": {"rank": 8, "name": "lora"}
    }


def test_an_adapter_goes_onto_its_own_model_and_whole_weights_are_one() -> None:
    shared = {"name": "base", "revision": "a", "attention": "eager", "adapters": ["old"]}
    source = {"name": "other", "rope": {"type": "linear"}, "neftune_alpha": 5}
    over = model_over(shared, {"kernels": "liger"}, source, step="sft", adapter=True)
    assert over == {
        "name": "other",
        "rope": {"type": "linear"},
        "attention": "eager",
        "kernels": "liger",
        "adapters": ["step:sft"],
    }
    assert model_over(shared, {}, source, step="sft", adapter=False) == {
        "name": "step:sft",
        "attention": "eager",
    }


def test_references_are_found_and_replaced_by_their_path() -> None:
    value = {"data": {"train": [{"path": "step:a"}]}, "stage": {"rewards": [{"model": "step:b"}]}}
    assert list(references(value)) == [("data.train.0.path", "a"), ("stage.rewards.0.model", "b")]
    found = replaced(value, lambda path, name: f"{path}={name}")
    assert found["data"]["train"] == [{"path": "data.train.0.path=a"}]


def test_a_recorded_pipeline_reads_back_as_it_was() -> None:
    steps = [
        PipelineStep(name="a", source=None, spec={"seed": 1}),
        PipelineStep(name="b", source="a", spec={}, generate=GenerateSection(answers=3)),
    ]
    spec = PipelineSpec(name="p", steps=steps)
    again = PipelineSpec.from_json(spec.as_json())
    assert again == spec
    assert again.hash == spec.hash != PipelineSpec(name="p", steps=steps[:1]).hash


# -- pairs ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Good. Score: 4", 4.0),
        ("score: 2 at first, then\nScore: 3.5", 3.5),
        ("**Score: 5**", 5.0),
        ("Score: **0**", 0.0),
        ("Score: 6", None),
        ("Score: 50", None),
        ("It is fine.", None),
        ("", None),
    ],
)
def test_the_last_score_from_0_to_5_counts(text: str, score: float | None) -> None:
    assert score_of(text) == score


def test_a_score_is_the_mean_of_the_judgements_that_name_one() -> None:
    assert mean_score(["Score: 4", "no idea", "Score: 1"]) == 2.5
    assert mean_score(["no idea"]) is None


def test_the_rows_own_answer_wins_over_each_other_one() -> None:
    written = Written(row=0, answers=["That.", "This. ", "", "That.", "Those."])
    pairs = pairs_of(ROW, written)
    assert [[m.content for m in pair.responses] for pair in pairs] == [
        ["This.", "That."],
        ["This.", "Those."],
    ]
    assert {pair.kind for pair in pairs} == {DatasetKind.PREFERENCE}
    assert pairs_of(ROW, Written(row=0)) == []


def test_the_best_judged_answer_wins_over_the_worst() -> None:
    written = Written(row=0, answers=["a", "b", "c"], scores=[1.0, None, 4.5])
    (pair,) = pairs_of(ROW, written)
    assert [message.content for message in pair.responses] == ["c", "a"]


@pytest.mark.parametrize("scores", [[2.0, 2.0], [None, 3.0], [None, None]])
def test_answers_scored_alike_make_no_row(scores: list[float | None]) -> None:
    assert pairs_of(ROW, Written(row=0, answers=["a", "b"], scores=scores)) == []


def test_what_stands_in_for_a_row_has_two_answers_that_differ() -> None:
    chosen, rejected = standing_in(ROW).responses
    assert chosen.content != rejected.content


def test_a_judge_reads_one_turn_as_it_is_and_more_with_who_speaks() -> None:
    assert question_of(ROW) == "What?"
    system = StandardRow(
        kind=DatasetKind.CONVERSATION, prompt=(Message(Role.SYSTEM, "Be brief."), *ROW.prompt)
    )
    assert question_of(system) == "system: Be brief.\n\nuser: What?"


def test_every_answer_has_a_seed_of_its_own() -> None:
    seeds = {seed_of(1, row, answer) for row in range(20) for answer in range(3)}
    assert len(seeds) == 60
    assert seed_of(1, 0, 0) == seed_of(1, 0, 0) != seed_of(2, 0, 0)
    assert all(0 <= seed < 2**32 for seed in seeds)
