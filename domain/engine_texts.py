"""Texts of the errors of inference engines."""

from collections.abc import Mapping

from domain.error_text import ErrorText

ENGINE_TEXTS: Mapping[str, ErrorText] = {
    "engine-busy": ErrorText(
        "Too many requests are waiting already: {waiting}.", "Ask again in a moment.", 75
    ),
    "engine-cannot": ErrorText(
        "The engine that serves `{name}` cannot {what}.",
        "Serve the model with --engine transformers.",
    ),
    "engine-died": ErrorText("The engine {engine} ended: {reason}.", "Its log is {log}.", 75),
    "engine-needs-url": ErrorText(
        "The engine remote needs the address of a server, and only it takes one.",
        "Give --engine remote together with --url http://HOST:PORT/v1.",
    ),
    "batch-missing": ErrorText("There is no file `{path}`.", "Name a file of requests.", 3),
    "batch-bad-line": ErrorText(
        "This line is no request of a batch: {reason}.",
        "Write one JSON object a line, with a custom_id of its own, url and body.",
    ),
}
