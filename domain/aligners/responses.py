"""The last step of every chat layout: prompt and answers become a row of the right kind."""

from collections.abc import Mapping

from domain.aligners.fields import FaultError, Values, kind_of
from domain.conversation import Message
from domain.dataset import DatasetKind, DataSource, Media, StandardRow
from domain.fingerprint import Json


def finish(
    values: Values,
    source: DataSource,
    prompt: list[Message],
    answers: list[Message],
    tools: tuple[Mapping[str, Json], ...],
    media: Media,
) -> StandardRow:
    """A preference for a ranking, feedback where a tag is named, else a conversation."""
    kind, liked = DatasetKind.CONVERSATION, None
    if source.ranking:
        kind = DatasetKind.PREFERENCE
        if answers[0] == answers[1]:
            raise FaultError(source.columns.rejected, "both answers are the same")
    elif source.columns.kto_tag is not None:
        kind, liked = DatasetKind.FEEDBACK, _liked(values, source.columns.kto_tag)
    return StandardRow(
        kind=kind,
        prompt=tuple(prompt),
        responses=tuple(answers),
        tools=tools,
        liked=liked,
        media=media,
    )


def _liked(values: Values, column: str) -> bool:
    value = values.get(column)
    if not isinstance(value, bool):
        raise FaultError(column, f"it is {kind_of(value)}, not true or false")
    return value
