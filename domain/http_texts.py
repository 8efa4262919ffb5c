"""Texts of the errors of files, fine-tuning jobs, models loaded while serving, and keys."""

from collections.abc import Mapping

from domain.error_text import ErrorText

HTTP_TEXTS: Mapping[str, ErrorText] = {
    "file-missing": ErrorText(
        "There is no file `{id}`.", "GET /v1/files lists those there are.", 3
    ),
    "file-too-large": ErrorText(
        "The file is larger than {limit}.", "Compress it as .jsonl.gz, or raise --max-file-mib."
    ),
    "upload-missing": ErrorText("There is no upload `{id}`.", "POST /v1/uploads begins one.", 3),
    "upload-closed": ErrorText("The upload `{id}` is {status}.", "Begin a new one."),
    "upload-size-differs": ErrorText(
        "The parts make {found} bytes, and {wanted} were announced.",
        "Name every part once, in order, or begin the upload anew.",
    ),
    "upload-sum-differs": ErrorText(
        "The MD5 sum of the parts is {found}, not {wanted}.", "Send the parts anew."
    ),
    "response-missing": ErrorText(
        "There is no response `{id}`.",
        "The newest are kept while the server runs, unless `store` is false; send the input whole.",
        3,
    ),
    "response-running": ErrorText(
        "The response `{id}` is not finished yet.",
        "Wait until its status is completed, or POST /v1/responses/{id}/cancel.",
    ),
    "response-not-background": ErrorText(
        "The response `{id}` was not made in the background, so it cannot be cancelled.",
        "Ask with `background` true, or close the connection to end an answer.",
    ),
    "job-missing": ErrorText(
        "There is no fine-tuning job `{id}`.", "GET /v1/fine_tuning/jobs lists those there are.", 3
    ),
    "job-model-path": ErrorText(
        "`{name}` is a path, and models are not named by paths here.",
        "Name a model out of /v1/models, one of the hub, or builtin:NAME.",
    ),
    "model-other-base": ErrorText(
        "`{name}` was trained over `{base}`, and the model loaded here is `{loaded}`.",
        "Serve it by a process of its own: `tune serve http --model {run}`.",
    ),
    "model-whole": ErrorText(
        "`{name}` is a whole model and no adapter, so it cannot be served over `{loaded}`.",
        "Serve it by a process of its own: `tune serve http --model {run}`.",
    ),
    "model-checkpoint-unfit": ErrorText(
        "The checkpoint `{name}` cannot be served: {reason}.", "Use the finished model."
    ),
    "model-fixed-engine": ErrorText(
        "The engine takes no adapters while it runs, so `{name}` is not served.",
        "Start the server with `--also {run}`.",
    ),
    "model-places-taken": ErrorText(
        "All {count} adapters that may be loaded at once are answering.",
        "Try again in a moment, or raise --max-adapters.",
        75,
    ),
    "model-not-own": ErrorText(
        "`{name}` is no fine-tuned model of this server, so it cannot be deleted.",
        "Only models whose name begins with ft: can be.",
        4,
    ),
    "access-scope": ErrorText(
        "The key `{name}` may {scopes}, and this request needs {needed}.",
        "Use another key, or make one: `tune keys add NAME --scope {needed}`.",
        4,
    ),
    "key-known": ErrorText(
        "There is a key `{name}` already.", "Choose another name, or remove it: `tune keys remove`."
    ),
    "key-missing": ErrorText("There is no key `{name}`.", "`tune keys list` shows them.", 3),
    "key-scope-unknown": ErrorText(
        "There is no scope `{scope}`.", "Scopes are {known}; several are joined by commas."
    ),
    "key-name-unfit": ErrorText(
        "`{name}` cannot be the name of a key.",
        "Use letters, digits, dots, dashes, underscores.",
    ),
    "request-too-slow": ErrorText(
        "The request body stopped coming for {seconds} seconds.", "Send it without pauses."
    ),
    "request-not-form": ErrorText(
        "The request body is no multipart form: {reason}.", "Send multipart/form-data."
    ),
}
