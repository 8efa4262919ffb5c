"""Segments: a row's text in pieces, each saying whether it is trained; no template is applied.

The layout is axolotl's `input_output`: `{"segments": [{"text": "...", "label": true}]}`. What a
template would write stands in the pieces themselves, so their special tokens are commands.
"""

from collections.abc import Mapping

from domain.aligners.fields import (
    FaultError,
    Values,
    checked_text,
    faults_returned,
    kind_of,
    list_of,
    text_of,
)
from domain.conversation import Message, Role
from domain.dataset import DatasetKind, DataSource, StandardRow


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The pieces of a row in order, the trained ones as the assistant's."""
    names = source.columns
    if text_of(values, names.system):
        raise FaultError(names.system, "segments are written as they stand, so put it in the first")
    pieces = [
        _piece(segment, f"{names.segments}[{number}]")
        for number, segment in enumerate(list_of(values, names.segments, "segments"))
    ]
    filled = [piece for piece in pieces if piece.content]
    if not any(piece.role is Role.ASSISTANT for piece in filled):
        raise FaultError(names.segments, "none of the segments is trained")
    return StandardRow(
        kind=DatasetKind.CONVERSATION,
        prompt=tuple(filled[:-1]),
        responses=(filled[-1],),
        verbatim=True,
    )


def is_labelled(value: object) -> bool:
    """Whether a column holds such pieces: other data calls parts of a recording segments."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, Mapping) and "label" in first


def _piece(segment: object, place: str) -> Message:
    if not isinstance(segment, Mapping):
        raise FaultError(place, f"it is {kind_of(segment)}, not a segment")
    trained = segment.get("label")
    if not isinstance(trained, bool):
        raise FaultError(f"{place}.label", f"it is {kind_of(trained)}, not true or false")
    text = checked_text(segment.get("text"), f"{place}.text")
    return Message(Role.ASSISTANT if trained else Role.USER, text)
