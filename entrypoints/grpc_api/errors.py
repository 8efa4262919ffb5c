"""Errors as google.rpc.Status, with the details of google.rpc.error_details.

Details travel in the trailing metadata, of which a client accepts 8 KiB by default and refuses
the whole answer beyond. So texts are clipped, and the list of violations ends where room ends.
"""

from collections.abc import Mapping

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from google.rpc.status_pb2 import Status

from domain.errors import NOWHERE, ExitCode, HextuneError, Problem
from ports.texts import Translator

DOMAIN = "hextune"
STATUS_BYTES = 4800
"""Largest status; base64 makes it 6.4 KB, and the message travels once more, percent-encoded."""
LONGEST_TEXT = 300
"""Characters of a violation's text."""
LONGEST_MESSAGE = 200
"""Characters of the status message: six bytes each, percent-encoded, where it is not ASCII."""
LONGEST_FACT = 120
MOST_FACTS = 8

BY_EXIT: Mapping[ExitCode, grpc.StatusCode] = {
    ExitCode.FAILED: grpc.StatusCode.INTERNAL,
    ExitCode.USAGE: grpc.StatusCode.INVALID_ARGUMENT,
    ExitCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ExitCode.ACCESS: grpc.StatusCode.PERMISSION_DENIED,
    ExitCode.UNFIT: grpc.StatusCode.FAILED_PRECONDITION,
    ExitCode.RUN_FAILED: grpc.StatusCode.INTERNAL,
    ExitCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ExitCode.INTERRUPTED: grpc.StatusCode.CANCELLED,
}
BY_CODE: Mapping[str, grpc.StatusCode] = {
    "access-denied": grpc.StatusCode.UNAUTHENTICATED,
    "engine-busy": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "model-not-chat": grpc.StatusCode.FAILED_PRECONDITION,
    "output-disk-full": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "run-data-changed": grpc.StatusCode.FAILED_PRECONDITION,
    "run-no-result": grpc.StatusCode.FAILED_PRECONDITION,
    "run-not-resumable": grpc.StatusCode.FAILED_PRECONDITION,
    "run-not-running": grpc.StatusCode.FAILED_PRECONDITION,
    "run-request-differs": grpc.StatusCode.ALREADY_EXISTS,
}
"""Codes whose meaning is narrower than their exit status."""


def status_code(found: Problem) -> grpc.StatusCode:
    """The gRPC status of a call that ends with `found`."""
    return BY_CODE.get(found.code) or BY_EXIT[found.exit_code]


def status_of(error: HextuneError, translator: Translator, wanted: str | None) -> Status:
    """The status of a failed call; `wanted` is the caller's accept-language."""
    first = error.problems[0]
    code = status_code(first)
    language = translator.choose(wanted)
    others = len(error.problems) - 1
    message = first.message + (f" (and {others} more)" if others else "")
    number: int = code.value[0]
    made = Status(code=number, message=_clip(message, LONGEST_MESSAGE))
    made.details.add().Pack(ErrorInfo(reason=first.code, domain=DOMAIN, metadata=_facts(first)))
    made.details.add().Pack(_localized(first, translator, language))
    placed = any(found.place != NOWHERE for found in error.problems)
    if placed or code is grpc.StatusCode.INVALID_ARGUMENT:
        room = STATUS_BYTES - made.ByteSize()
        made.details.add().Pack(_violations(error, translator, language, room))
    return made


def _violations(
    error: HextuneError, translator: Translator, language: str, room: int
) -> BadRequest:
    """One violation for each problem, as far as there is room, then how many are left out."""
    made = BadRequest()
    for number, found in enumerate(error.problems):
        violation = BadRequest.FieldViolation(
            field=found.place.field or "",
            description=_clip(_described(found), LONGEST_TEXT),
            reason=found.code,
            localized_message=_localized(found, translator, language),
        )
        if made.ByteSize() + violation.ByteSize() > room:
            left = len(error.problems) - number
            made.field_violations.add(description=f"{left} more problems are left out here.")
            break
        made.field_violations.append(violation)
    return made


def _described(found: Problem) -> str:
    """`file:line: message hint`, in English."""
    place = found.place
    where = f"{place.file}:{place.line}" if place.line else place.file
    text = f"{found.message} {found.hint}"
    return f"{where}: {text}" if where else text


def _localized(found: Problem, translator: Translator, language: str) -> LocalizedMessage:
    """Message and hint in `language`; marked as English where the text is."""
    texts = translator.problem(language, found)
    locale = "en" if texts == (found.message, found.hint) else language
    return LocalizedMessage(locale=locale, message=_clip(" ".join(texts), LONGEST_TEXT))


def _facts(found: Problem) -> Mapping[str, str]:
    return {
        key: _clip(value, LONGEST_FACT) for key, value in list(found.facts.items())[:MOST_FACTS]
    }


def _clip(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
