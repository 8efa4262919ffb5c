"""The catalogue's templates beside their vendors' own, conversation by conversation."""

import logging
from pathlib import Path

import jinja2
import pytest

from tests.templates.chats import CHATS, Chat, render, template
from tests.templates.pairs import PAIRS, Pair
from tests.templates.reference_table import REFERENCES, reference_table
from tests.templates.references import TOKENIZERS, Reference, jinja_reference, references

REFUSED = "refused"


def name_of(pair: Pair) -> str:
    return f"{pair.template}-{pair.source}-{pair.reference}"


def reference_of(pair: Pair) -> Reference:
    """The pair's reference; without it the test is skipped, with the reason."""
    found = references(pair.source)
    if found is None:
        pytest.skip(f"the source `{pair.source}` cannot be had here")
    reference = found[pair.reference]
    if reference.template is None or reference.eos == pair.eos or pair.source == "tokenizer":
        return reference
    return jinja_reference(reference.template, eos=pair.eos)


def rendered(text: str, chat: Chat, reference: Reference) -> str:
    try:
        return render(text, chat, bos=reference.bos, eos=reference.eos)
    except jinja2.TemplateError:
        return REFUSED


def vendors(chat: Chat, reference: Reference) -> str:
    try:
        return reference.render(chat)
    except jinja2.TemplateError:
        return REFUSED


@pytest.mark.parametrize("pair", PAIRS, ids=name_of)
def test_a_template_equals_its_vendors_but_where_the_table_says_why(pair: Pair) -> None:
    reference = reference_of(pair)
    unequal = []
    for name in pair.chats:
        ours = rendered(template(pair.template), CHATS[name], reference)
        theirs = vendors(CHATS[name], reference)
        if ours != theirs:
            logging.getLogger(__name__).info("%s\nours   %r\ntheirs %r", name, ours, theirs)
            unequal.append(name)
    assert sorted(unequal) == sorted(pair.reasons())


def test_every_tokenizer_with_a_template_is_compared() -> None:
    assert {p.reference for p in PAIRS if p.source == "tokenizer"} == set(TOKENIZERS)


def test_the_written_table_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    table = reference_table()
    with capsys.disabled():
        print("\n" + table)
    assert Path(REFERENCES).read_text(encoding="utf-8") == table
