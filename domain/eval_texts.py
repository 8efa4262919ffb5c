"""Texts of the errors of evaluations."""

from collections.abc import Mapping

from domain.error_text import ErrorText

EVAL_TEXTS: Mapping[str, ErrorText] = {
    "exam-file-missing": ErrorText(
        "`{path}` has no file `{name}`.",
        "Give the folder or zip file the exam's authors publish, and a split they have.",
        3,
    ),
    "exam-path-missing": ErrorText(
        "There is no folder or zip file `{path}`.",
        "Give the one the exam's authors publish.",
        3,
    ),
    "exam-undescribed": ErrorText(
        "There is no file `{path}` that describes an exam.",
        "`tune list exams` shows those that need no file.",
        3,
    ),
    "exam-unknown-subject": ErrorText(
        "The exam `{exam}` has no subject `{subject}`.",
        "{suggestion}",
        3,
    ),
    "exam-few-examples": ErrorText(
        "{shots} examples are asked for, and `{subject}` has {count}.",
        "Lower shots.",
    ),
    "eval-nothing-asked": ErrorText(
        "The evaluation asks for nothing.",
        "Add `exams`, `perplexity`, `problems`, `answers`, `programs` or `judged`.",
    ),
    "eval-title-twice": ErrorText(
        "Two evaluations are called `{title}`.",
        "Give one of them a `title`.",
    ),
    "eval-no-items": ErrorText(
        "`{title}` has nothing that can be measured: {first}.",
        "Look at its files: every row was left out, and this is the first.",
    ),
    "eval-nothing-measured": ErrorText(
        "Nothing of `{title}` could be measured; the first item: {first}.",
        "Lower shots or the length of what is asked, or look at the judge's answers in "
        "excluded.jsonl.",
    ),
    "eval-bad-window": ErrorText(
        "A window of {window} tokens every {stride} does not go with a context of {context}.",
        "Set a window within the context, and a stride below the window.",
    ),
    "eval-no-examples": ErrorText(
        "{shots} worked examples are asked for, and no source of them is named.",
        "Name one under `examples`, or set shots to 0.",
    ),
    "eval-no-scores": ErrorText(
        "`{title}` asks for no score.",
        "Name one under `scores`, such as rouge-l.",
    ),
    "eval-empty-answers": ErrorText(
        "{count} answers of `{title}` are empty and score as such.",
        "Look at them in predictions.jsonl.",
    ),
    "eval-code-consent": ErrorText(
        "`{title}` would run programs that a model writes.",
        "Set run_generated_code: true where that is acceptable on this machine.",
    ),
    "eval-bad-k": ErrorText(
        "pass@k of k {k} does not go with {samples} samples of each task.",
        "Set k between 1 and samples.",
    ),
    "eval-judge-prompt": ErrorText(
        "The judge's prompt of `{title}` does not show the answer.",
        "Put {mark} where the answer should stand.",
    ),
    "eval-judge-scale": ErrorText(
        "A scale from {lowest} to {highest} has no two ends.",
        "Set lowest below highest.",
    ),
    "eval-rows-excluded": ErrorText(
        "{count} rows of `{title}` were left out; the first: {first}.",
        "results.json lists them all.",
    ),
    "eval-nothing-shared": ErrorText(
        "The evaluations `{before}` ({first}) and `{after}` ({second}) have no title in common.",
        "Compare evaluations of the same exams, or give both the same `title`.",
    ),
    "eval-asks-twice": ErrorText(
        "Give either a spec file or options, not both: {options}.",
        "Set what the file says with overrides such as exams.0.limit=20.",
    ),
    "eval-needs-weights": ErrorText(
        "`{title}` measures tokens, and `{url}` does not tell how its model cuts text into them.",
        "Measure a run or a model on this machine.",
    ),
    "server-unreachable": ErrorText(
        "`{url}` does not answer: {reason}.", "Check the address and that the server runs.", 75
    ),
    "server-refused": ErrorText(
        "`{url}` refused the request: {reason}.", "Check the model's name and OPENAI_API_KEY.", 75
    ),
    "server-no-likelihoods": ErrorText(
        "`{url}` tells no likelihoods: {reason}.",
        "Use a server whose /v1/completions knows echo and logprobs, or ask no `exams`.",
        75,
    ),
    "eval-exam-paths": ErrorText(
        "{exams} exams and {paths} paths are given.",
        "Give one --path after each --exam: the folder or zip file of that exam.",
    ),
    "eval-no-model": ErrorText(
        "Neither a spec file nor a model is given.",
        "`tune eval run --help` shows both ways.",
    ),
    "run-is-evaluation": ErrorText(
        "The run `{name}` is an evaluation and has no model.",
        "`tune runs` shows what each run is.",
    ),
    "run-no-evaluation": ErrorText(
        "The run `{name}` is no finished evaluation: {kind}, {status}.",
        "`tune runs` shows what each run is; `tune resume` takes up one that was cut off.",
    ),
    "human-two-models": ErrorText(
        "Two models are compared, and {count} are given.",
        "Give --model twice.",
    ),
    "human-same-model": ErrorText(
        "Both models are `{name}`.",
        "Name two different ones.",
    ),
    "human-other-models": ErrorText(
        "`{path}` holds ratings of other models: {models}.",
        "Write to another --output.",
    ),
    "human-nothing-to-rate": ErrorText(
        "`{path}` has no prompt that both models can answer.",
        "Look at it with `tune data check`.",
    ),
    "human-record-damaged": ErrorText(
        "`{path}` is no record of pairs: {reason}.",
        "Move it away, or write to another --output.",
    ),
    "human-unwritable": ErrorText(
        "`{path}` cannot be written: {reason}.",
        "Write to another --output.",
    ),
}
