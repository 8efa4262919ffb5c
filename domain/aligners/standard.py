"""The paper's standardized rows: prompt and response as lists of messages (Table 3)."""

from dataclasses import replace

from domain.aligners.fields import (
    FaultError,
    Values,
    check_media,
    check_turns,
    faults_returned,
    tools_of,
    with_system,
)
from domain.aligners.openai import MediaParts, all_media, read_messages
from domain.aligners.responses import finish
from domain.dataset import DataSource, StandardRow

LIKED = "liked"


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """One response is a conversation, two are a preference; `liked` makes it feedback."""
    parts = MediaParts()
    prompt = with_system(values, source, read_messages(values, "prompt", parts))
    answer_parts = MediaParts()
    unanswered = source.prompts and not values.get("response")
    answers = [] if unanswered else read_messages(values, "response", answer_parts)
    if answer_parts.media():
        raise FaultError("response", "an answer cannot hold media")
    if len(answers) not in (1, 2) and not unanswered:
        raise FaultError("response", f"it has {len(answers)} messages, not one or two")
    if LIKED in values:
        columns = replace(source.columns, kto_tag=source.columns.kto_tag or LIKED)
        source = replace(source, columns=columns)
    source = replace(source, ranking=len(answers) == 2)
    for answer in answers:
        check_turns([*prompt, answer], "prompt")
    if unanswered:
        check_turns(prompt, "prompt", ends_with_answer=False)
    media = all_media(values, source, parts)
    check_media([*prompt, *answers[:1]], media)
    return finish(values, source, prompt, answers, tools_of(values, source), media)
