"""TRL's rows: a prompt with a completion, with two answers, or with a completion and a label.

The layouts are those of TRL's page on dataset formats. Prompts and answers are texts, each of them
one turn, or lists of messages; both are rendered by the chat template. Of a prompt and a completion
only the completion is trained, as TRL does, and not the answers inside the prompt.
"""

from dataclasses import replace

from domain.aligners.fields import (
    FaultError,
    Values,
    checked_text,
    faults_returned,
    kind_of,
    with_system,
)
from domain.aligners.openai import (
    MediaParts,
    finished,
    is_whole,
    pair_of_conversations,
    read_messages,
)
from domain.conversation import Message, Role
from domain.dataset import DataSource, StandardRow

PROMPT, COMPLETION, LABEL = "prompt", "completion", "label"


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """A preference in a ranking, feedback where there is a label, else a conversation."""
    names = source.columns
    if source.ranking and is_whole(values.get(names.chosen)):
        return pair_of_conversations(values, source)
    parts = MediaParts()
    prompt = with_system(values, source, _turns(values, PROMPT, Role.USER, parts))
    if source.ranking:
        shared, answers = _two_answers(values, source)
        return finished(values, source, [*prompt, *shared], answers, parts, PROMPT)
    if source.prompts and COMPLETION not in values:
        return finished(values, source, prompt, [], parts, PROMPT)
    *shared, answer = _answer(values, COMPLETION)
    prompt = [_untrained(message) for message in prompt]
    if LABEL in values:
        source = replace(source, columns=replace(names, kto_tag=names.kto_tag or LABEL))
    return finished(values, source, [*prompt, *shared], [answer], parts, PROMPT)


def _two_answers(values: Values, source: DataSource) -> tuple[list[Message], list[Message]]:
    """(turns that both answers begin with, the chosen and the rejected last turn)."""
    names = source.columns
    *shared, chosen = _answer(values, names.chosen)
    *others, rejected = _answer(values, names.rejected)
    if shared != others:
        raise FaultError(names.rejected, "it differs from the chosen one before the last turn")
    return shared, [chosen, rejected]


def _answer(values: Values, column: str) -> list[Message]:
    parts = MediaParts()
    turns = _turns(values, column, Role.ASSISTANT, parts)
    if parts.media():
        raise FaultError(column, "an answer cannot hold media")
    if not turns:
        raise FaultError(column, "there are no turns")
    return turns


def _turns(values: Values, column: str, role: Role, parts: MediaParts) -> list[Message]:
    """The turns of a column; a text is one turn of `role`."""
    value = values.get(column)
    if isinstance(value, str):
        return [Message(role, checked_text(value, column))]
    if not isinstance(value, list):
        raise FaultError(column, f"it is {kind_of(value)}, not text or a list of messages")
    return read_messages(values, column, parts)


def _untrained(message: Message) -> Message:
    """An answer inside a prompt carries no loss unless it asks for it."""
    if message.role is not Role.ASSISTANT or message.trained is not None:
        return message
    return replace(message, trained=False)
