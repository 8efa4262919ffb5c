"""Pipeline files: defaults and own values, chains, references, and mistakes with their lines."""

import pytest

from domain.errors import HextuneError, Problem
from entrypoints.container import make_container
from ports.pipeline_reader import PipelineDocument, PipelineReader, StepDocument
from ports.spec_reader import SpecText

SHARED = """\
name: p
model: {name: base, revision: a}
data: {train: [{path: rows.jsonl}], max_tokens: 64}
method: {name: lora, rank: 8}
"""
READER: PipelineReader = make_container().pipeline_reader()


def read(steps: str, *overrides: str, shared: str = SHARED) -> PipelineDocument:
    text = f"{shared}pipeline:\n{steps}"
    return READER.read(SpecText(text=text, format="yaml", source="p.yaml", overrides=overrides))


def steps(text: str, *overrides: str, shared: str = SHARED) -> dict[str, StepDocument]:
    document = read(text, *overrides, shared=shared)
    assert document.problems == ()
    return {step.name: step for step in document.steps}


def faults(text: str, *overrides: str) -> list[Problem]:
    try:
        return list(read(text, *overrides).problems)
    except HextuneError as error:
        return list(error.problems)


def test_only_a_text_with_steps_is_a_pipeline() -> None:
    for text, is_one in ((f"{SHARED}pipeline: []", True), (SHARED, False), ("", False)):
        assert READER.holds(SpecText(text=text, format="yaml", source="x")) is is_one


def test_shared_values_are_defaults_and_own_ones_win() -> None:
    found = steps("  - {name: a}\n  - {name: b, method: {rank: 4}, data: {max_tokens: 32}}\n")
    one, two = (found[name].document.spec for name in ("a", "b"))
    assert (one.name, two.name) == ("p-a", "p-b")
    assert (one.method.options["rank"], two.method.options["rank"]) == (8, 4)
    assert (one.data.max_tokens, two.data.max_tokens) == (64, 32)
    assert two.data.train == one.data.train


def test_overrides_reach_all_steps_or_one() -> None:
    text = "  - {name: a}\n  - {name: b}\n"
    found = steps(text, "method.rank=2", "pipeline.1.method.rank=3")
    assert [each.document.spec.method.options["rank"] for each in found.values()] == [2, 3]
    (fault,) = faults(text, "pipeline.1.method.rank=no")
    assert str(fault.place) == "override pipeline.1.method.rank"


def test_a_step_goes_on_from_the_one_before_by_its_adapter() -> None:
    found = steps("  - {name: a}\n  - {name: b, stage: {name: dpo}}\n")
    assert found["b"].source == "a"
    model = found["b"].document.spec.model
    assert (model.name, model.revision, model.adapters) == ("base", "a", ("step:a",))


def test_whole_weights_become_the_next_model() -> None:
    found = steps("  - {name: a, method: {name: full}}\n  - {name: b}\n")
    model = found["b"].document.spec.model
    assert (model.name, model.revision, model.adapters) == ("step:a", None, ())


def test_ppo_after_a_reward_model_starts_from_what_it_judges() -> None:
    found = steps(
        "  - {name: sft}\n  - {name: reward, stage: {name: reward}}\n"
        "  - {name: ppo, stage: {name: ppo, rewards: [{name: model, model: 'step:reward'}]}}\n"
    )
    assert [step.source for step in found.values()] == [None, "sft", "sft"]
    rewards = found["ppo"].document.spec.stage.options["rewards"]
    assert rewards[0]["model"] == "step:reward"  # type: ignore[index,call-overload]


def test_from_names_an_earlier_step_and_null_the_files_model() -> None:
    found = steps(
        "  - {name: a}\n  - {name: b}\n  - {name: c, from: a}\n  - {name: d, from: null}\n"
        "  - {name: e, model: {name: other}}\n"
    )
    assert [step.source for step in found.values()] == [None, "a", "a", None, None]
    names = [step.document.spec.model.name for step in found.values()]
    assert names == ["base", "base", "base", "base", "other"]


def test_a_block_repeats_and_a_name_means_its_newest_turn() -> None:
    found = steps(
        "  - {name: sft}\n"
        "  - repeat: 2\n"
        "    steps:\n"
        "      - {name: play, generate: {max_tokens: 8}}\n"
        "      - {name: learn, stage: {name: dpo}, data: {train: [{path: 'step:play'}]}}\n"
        "  - {name: last, from: learn, stage: {name: dpo}}\n"
    )
    assert {name: step.source for name, step in found.items()} == {
        "sft": None,
        "play-1": "sft",
        "learn-1": "sft",
        "play-2": "learn-1",
        "learn-2": "learn-1",
        "last": "learn-2",
    }
    rows = [found[f"learn-{turn}"].document.spec.data.train[0].path for turn in (1, 2)]
    assert rows == ["step:play-1", "step:play-2"]
    asked = found["play-2"].generate
    assert asked is not None
    assert (asked.max_tokens, asked.chosen) == (8, "own")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("  - {}\n", "pipeline-step-name", 6),
        ("  - {name: 3}\n", "pipeline-step-name", 6),
        ("  - {name: a}\n  - {name: a}\n", "pipeline-name-twice", 7),
        ("  - {repeat: 0, steps: [{name: a}]}\n", "pipeline-repeat", 6),
        ("  - {repeat: 2, steps: [{name: a}], seed: 1}\n", "pipeline-repeat", 6),
        ("  - {repeat: 2, steps: []}\n", "pipeline-no-steps", 6),
        ("  - {name: a, from: b}\n", "pipeline-unknown-step", 6),
        ("  - {name: a, data: {train: [{path: 'step:b'}]}}\n", "pipeline-unknown-step", 6),
        ("  - {name: a}\n  - {name: b, data: {train: [{path: 'step:a'}]}}\n",
         "pipeline-step-trains", 7),
        ("  - {name: g, generate: {}}\n  - {name: b, from: g}\n", "pipeline-step-writes", 7),
        ("  - {name: a}\n  - {name: b, model: {name: 'step:a'}}\n", "pipeline-model-reference", 7),
        ("  - {name: a}\n  - {name: b, from: a, model: {name: x}}\n", "pipeline-two-models", 7),
        ("  - {name: g, generate: {}, seed: 1, stage: {name: dpo}}\n", "pipeline-generate-key", 6),
        ("  - {name: g, generate: {chosen: best}}\n", "pipeline-one-answer", 6),
        ("  - {name: g, generate: {chosen: best, answers: 2, judge: '{question}'}}\n",
         "pipeline-judge-prompt", 6),
        ("  - {name: a, stage: {name: reward}}\n  - {name: b, stage: {name: dpo}}\n",
         "stage-may-not-follow", 7),
        ("  - {name: a, stage: {name: dpo}}\n  - {name: b, stage: {name: sft}}\n",
         "stage-may-not-follow", 7),
        ("  - {name: a, stage: {name: reward}}\n  - {name: g, generate: {}}\n",
         "stage-may-not-follow", 7),
        ("  - {name: a, mehtod: {rank: 3}}\n", "spec-unknown-key", 6),
        ("  - {name: g, generate: {answer: 3}}\n", "spec-unknown-key", 6),
        ("  - {name: g, generate: 3}\n", "spec-bad-value", 6),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_at_its_line(text: str, code: str, line: int) -> None:
    (found,) = faults(text)
    assert (found.code, found.place.file, found.place.line) == (code, "p.yaml", line)
    assert (found.place.field or "").startswith("pipeline.")


def test_a_pipeline_without_steps_is_refused() -> None:
    (found,) = faults("")
    assert (found.code, found.place.line) == ("pipeline-no-steps", 5)


def test_every_mistake_is_told_at_once_and_a_shared_one_once() -> None:
    shared = SHARED.replace("rank: 8", "rnk: 8")
    document = read(
        "  - {name: a, seed: no}\n  - {name: b, from: c, schedule: {epochs: -1}}\n", shared=shared
    )
    told = [(found.code, str(found.place)) for found in document.problems]
    assert told == [
        ("spec-unknown-key", "p.yaml:4 method.rnk"),
        ("spec-bad-value", "p.yaml:6 pipeline.0.seed"),
        ("pipeline-unknown-step", "p.yaml:7 pipeline.1.from"),
        ("spec-bad-value", "p.yaml:7 pipeline.1.schedule.epochs"),
    ]
    assert document.steps == []


def test_places_lead_to_the_line_of_the_step_or_of_the_shared_section() -> None:
    found = steps("  - name: a\n    method: {rank: 4}\n  - name: b\n")
    assert found["a"].document.place("method.rank").line == 7
    assert found["b"].document.place("method.rank").line == 4
    assert found["b"].document.place("schedule.epochs").file == "p.yaml"


def test_toml_writes_steps_as_tables() -> None:
    text = 'model = {name = "base"}\ndata = {train = [{path = "r"}]}\n[[pipeline]]\nname = "a"\n'
    text += '[[pipeline]]\nname = "b"\n[pipeline.method]\nrank = 4\n'
    found = READER.read(SpecText(text=text, format="toml", source="p.toml"))
    assert found.problems == ()
    assert found.steps[1].document.spec.method.options["rank"] == 4
    assert found.steps[1].document.spec.name == "pipeline-b"
