"""Alpaca rows: instruction, optional input and history, and an answer or a ranking of answers."""

from domain.aligners.fields import (
    FaultError,
    Values,
    check_media,
    check_turns,
    checked_text,
    faults_returned,
    list_of,
    media_of,
    text_of,
    tools_of,
)
from domain.aligners.responses import finish
from domain.conversation import Message, Role
from domain.dataset import DataSource, StandardRow


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The question of a row with its answer or answers."""
    names = source.columns
    system = text_of(values, names.system)
    asked = [text_of(values, names.prompt), text_of(values, names.query)]
    question = "\n".join(text for text in asked if text)
    if not question.strip():
        raise FaultError(names.prompt, "the instruction is empty")
    prompt = [Message(Role.SYSTEM, system)] if system else []
    prompt += [*_history(values, names.history), Message(Role.USER, question)]
    check_turns(prompt, names.prompt, ends_with_answer=False)
    media = media_of(values, source)
    answers = _answers(values, source)
    check_media([*prompt, *answers[:1]], media)
    return finish(values, source, prompt, answers, tools_of(values, source), media)


def _answers(values: Values, source: DataSource) -> list[Message]:
    """The answer; in a ranking the chosen and the rejected one; prompts need not have any."""
    names = source.columns
    if source.prompts and not source.ranking and not values.get(names.response):
        return []
    if source.ranking and names.response not in values:
        texts = [text_of(values, names.chosen), text_of(values, names.rejected)]
        places = [names.chosen, names.rejected]
    elif source.ranking:
        found = list_of(values, names.response, "two answers")
        if len(found) != 2:
            raise FaultError(names.response, f"it has {len(found)} answers, not two")
        places = [f"{names.response}[{number}]" for number in range(2)]
        texts = [checked_text(answer, place) for answer, place in zip(found, places, strict=True)]
    else:
        texts, places = [text_of(values, names.response)], [names.response]
    for text, place in zip(texts, places, strict=True):
        if not text.strip():
            raise FaultError(place, "the answer is empty")
    return [Message(Role.ASSISTANT, text) for text in texts]


def _history(values: Values, column: str) -> list[Message]:
    if values.get(column) in (None, ""):  # an empty CSV cell is the latter
        return []
    turns: list[Message] = []
    for number, pair in enumerate(list_of(values, column, "pairs")):
        filled = isinstance(pair, list) and len(pair) == 2
        place = f"{column}[{number}]"
        if not filled or not all(isinstance(text, str) and text.strip() for text in pair):
            raise FaultError(place, "it is not a [question, answer] pair")
        question, answer = (checked_text(text, place) for text in pair)
        turns += [Message(Role.USER, question), Message(Role.ASSISTANT, answer)]
    return turns
