"""The last step of every chat layout: prompt and answers become a row of the right kind."""

from collections.abc import Mapping

from domain.aligners.fields import FaultError, Values, checked_text, kind_of
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
    """A prompt where the source says so, a preference for a ranking, feedback where a tag is named,
    else a conversation."""
    if source.prompts:
        return StandardRow(
            kind=DatasetKind.PROMPT,
            prompt=tuple(prompt),
            tools=tools,
            answer=_reference(values, source.columns.answer, answers),
            media=media,
        )
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


def _reference(values: Values, column: str, answers: list[Message]) -> str:
    """What rewards compare with: the column, where a number counts as text, or the row's answer."""
    value = values.get(column)
    if value is None:
        return answers[0].content if answers else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return checked_text(str(value) if number else value, column)


def _liked(values: Values, column: str) -> bool:
    value = values.get(column)
    if not isinstance(value, bool):
        raise FaultError(column, f"it is {kind_of(value)}, not true or false")
    return value
