"""ShareGPT rows: a list of turns with roles and texts, tool calls and results among them.

A turn may say whether it is trained by `train` or `loss_weight`, as OpenAI messages may.
"""

from collections.abc import Mapping

from domain.aligners.fields import (
    FaultError,
    Values,
    calls_of,
    check_media,
    check_turns,
    checked_text,
    faults_returned,
    kind_of,
    list_of,
    media_of,
    text_of,
    tools_of,
    trained_of,
    with_system,
)
from domain.aligners.openai import split_answer
from domain.aligners.responses import finish
from domain.conversation import Message, Role
from domain.dataset import DataSource, StandardRow

COLUMN = "conversations"


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The turns of a row; in a ranking they are the prompt of both answers."""
    column = source.columns.messages or COLUMN
    turns = list_of(values, column, "turns")
    messages = [_turn(turn, source, f"{column}[{n}]") for n, turn in enumerate(turns)]
    messages = with_system(values, source, messages)
    if source.ranking:
        names = source.columns
        answers = [_answer(values, name, source) for name in (names.chosen, names.rejected)]
    else:
        if not messages:
            raise FaultError(column, "there are no turns")
        messages, answers = split_answer(messages, source)
    check_turns([*messages, *answers[:1]], column, ends_with_answer=bool(answers))
    media = media_of(values, source)
    check_media([*messages, *answers[:1]], media)
    return finish(values, source, messages, answers, tools_of(values, source), media)


def _answer(values: Values, column: str, source: DataSource) -> Message:
    value = values.get(column)
    answer = (
        Message(Role.ASSISTANT, checked_text(value, column))
        if isinstance(value, str)
        else _turn(value, source, column)
    )
    if answer.role is not Role.ASSISTANT:
        raise FaultError(column, f"it is the {answer.role.value}'s turn, not the assistant's")
    if not (answer.content.strip() or answer.tool_calls):
        raise FaultError(column, "the answer is empty")
    return answer


def _turn(turn: object, source: DataSource, place: str) -> Message:
    tags = source.tags
    if not isinstance(turn, Mapping):
        raise FaultError(place, f"it is {kind_of(turn)}, not a turn")
    roles = {
        tags.user: Role.USER,
        tags.assistant: Role.ASSISTANT,
        tags.system: Role.SYSTEM,
        tags.observation: Role.TOOL,
        tags.function: Role.ASSISTANT,
    }
    role = turn.get(tags.role)
    if not isinstance(role, str) or role not in roles:
        known = ", ".join(roles)
        raise FaultError(f"{place}.{tags.role}", f"{role!r} is none of {known}")
    inside = f"{place}.{tags.content}"
    if turn.get(tags.content) is None:
        raise FaultError(inside, "it is missing, not text")
    trained = trained_of(turn, place, roles[role])
    if role == tags.function:
        calls = calls_of(turn[tags.content], inside)
        return Message(Role.ASSISTANT, "", calls, trained=trained)
    return Message(roles[role], text_of(turn, tags.content, place=inside), trained=trained)
