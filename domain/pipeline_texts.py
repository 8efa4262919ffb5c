"""Texts of the errors of pipelines."""

from collections.abc import Mapping

from domain.error_text import ErrorText

PIPELINE_TEXTS: Mapping[str, ErrorText] = {
    "pipeline-no-steps": ErrorText(
        "`{key}` holds no list of steps.",
        "Write one item for each step, with its name and what differs from the file's "
        "other sections.",
    ),
    "pipeline-step-name": ErrorText(
        "A step needs a name of letters, digits, `-` and `_`; found {found}.",
        "Give each step a short name, such as sft.",
    ),
    "pipeline-name-twice": ErrorText(
        "Two steps are called `{name}`.",
        "Give one of them another name.",
    ),
    "pipeline-repeat": ErrorText(
        "`repeat` needs a number from 1 to {most} beside a list of `steps`, and nothing else.",
        "Write the number of turns and the steps of one turn.",
    ),
    "pipeline-unknown-step": ErrorText(
        "There is no earlier step `{name}`.",
        "Earlier steps: {known}.",
    ),
    "pipeline-step-trains": ErrorText(
        "`step:{name}` stands for rows here, and the step `{name}` trains.",
        "Name a step with `generate`.",
    ),
    "pipeline-step-writes": ErrorText(
        "The step `{name}` writes rows and makes no model.",
        "Name a step that trains.",
    ),
    "pipeline-model-reference": ErrorText(
        "`step:{name}` cannot stand under `model`.",
        "Write `from: {name}` in the step instead.",
    ),
    "pipeline-two-models": ErrorText(
        "The step `{name}` has a `from` and names a model of its own.",
        "Keep one of the two.",
    ),
    "pipeline-generate-key": ErrorText(
        "`{key}` says nothing in a step that writes rows.",
        "Such a step takes name, from, generate, model, data and seed.",
    ),
    "pipeline-one-answer": ErrorText(
        "Among {answers} answer there is no best and worst.",
        "Set generate.answers to 2 or more.",
    ),
    "pipeline-judge-prompt": ErrorText(
        "The judge's prompt lacks {missing}.",
        "Write both places into it: the question's and the answer's.",
    ),
    "pipeline-media": ErrorText(
        "The row {row} shows or plays files, and answers are written to text alone.",
        "Leave rows with media out of this step.",
    ),
    "pipeline-no-pairs": ErrorText(
        "None of {count} prompts gave two answers of which one is better.",
        "answers.jsonl shows what was written; raise generate.temperature, answers or max_tokens.",
        6,
    ),
    "pipeline-no-model": ErrorText(
        "The pipeline `{name}` has no step whose result writes text.",
        "`tune runs` shows the runs of its steps.",
    ),
    "pipeline-step-failed": ErrorText(
        "The step {step} failed in run {run}.",
        "{message} Once that is mended, `tune resume {pipeline}` goes on with this step.",
        6,
    ),
    "run-not-training": ErrorText(
        "The run `{name}` trains nothing itself; its kind is {kind}.",
        "`tune runs` shows what each run is.",
    ),
    "stage-may-not-follow": ErrorText(
        "Stage {stage} cannot start from `{name}`, which stage {earlier} made.",
        "It may follow: {follows}.",
    ),
}
