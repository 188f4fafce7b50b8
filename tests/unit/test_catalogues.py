"""Every catalogue is complete: no text is missing, doubtful or left English, and every place is filled."""

import gettext
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from mailer.templating.templates import Templates
from tests.support import all_mails
from tools import make_catalogue

FOLDER = Path(make_catalogue.ROOT) / "templates" / "translations"
LANGUAGES = [language for language in all_mails.LANGUAGES if language != "en"]
UNREVIEWED = ("ar", "hy")
SAME_IN_ALL = {", ", "%(words)s:"}
"""Texts without a word."""
EACH = pytest.mark.parametrize("language", LANGUAGES)


def catalogue(language: str) -> Catalog:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


@cache
def texts() -> frozenset[tuple[str, ...]]:
    return frozenset(forms(message.id) for message in make_catalogue.texts() if message.id)


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text or "",) if isinstance(text, str | None) else tuple(text)


def places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))


def faults(message: Message, plural_forms: int) -> list[str]:
    """What is wrong with one translated text."""
    found = []
    ids, strings = forms(message.id), forms(message.string)
    wanted = plural_forms if message.pluralizable else 1
    if len(strings) != wanted or not all(strings):
        found.append("is not translated in every form")
    if message.fuzzy:
        found.append("is marked as doubtful")
    if set(ids) & set(strings) - SAME_IN_ALL:
        found.append("is left English")
    for string in strings:
        # "One story" and "two stories" need no figure, in languages that say so in a word.
        spared = {"%(num)s"} if message.pluralizable else set()
        if not places(ids[-1]) - spared <= places(string) <= places(ids[-1]):
            found.append("has other places to fill")
    return found


def test_there_is_a_test_for_every_catalogue() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(LANGUAGES)
    assert all_mails.NAMES.keys() == all_mails.WORDS.keys()
    assert Templates().languages() == ("en", *sorted(LANGUAGES))


@EACH
def test_the_catalogue_has_exactly_the_texts_there_are(language: str) -> None:
    wanted = texts()
    there = {forms(message.id) for message in catalogue(language) if message.id}
    again = f"run .venv/bin/python tools/make_catalogue.py {language}, and translate"
    assert wanted - there == set(), again
    assert there - wanted == set(), again


@EACH
def test_every_text_is_translated(language: str) -> None:
    found = catalogue(language)
    wrong = {
        message.id: faults(message, found.num_plurals)
        for message in found
        if message.id and faults(message, found.num_plurals)
    }
    assert wrong == {}


@EACH
def test_plural_forms_are_those_of_cldr(language: str) -> None:
    found = catalogue(language)
    of_cldr = Locale.parse(language).plural_form
    # CLDR's "many" in French is for millions, and for numbers with a fraction in all of them.
    names = {of_cldr(number) for number in range(1000)}
    assert found.num_plurals == len(names)
    # The standard library's, typed nowhere: what reads the header when a mail is rendered.
    plural = gettext.c2py(found.plural_expr)
    pairs = {(of_cldr(number), plural(number)) for number in range(1000)}
    assert len(pairs) == len(names)


@EACH
def test_plural_forms_stand_in_the_order_of_cldr(language: str) -> None:
    """Whoever translates sees them in that order, and would write "many" where "other" is meant."""
    of_cldr = Locale.parse(language).plural_form
    plural = gettext.c2py(catalogue(language).plural_expr)
    places_of = {plural(number): of_cldr(number) for number in range(1000)}
    order = ("zero", "one", "two", "few", "many", "other")
    names = [places_of[place] for place in sorted(places_of)]
    assert names == sorted(names, key=order.index)


def test_arabic_counts_as_arabic_does() -> None:
    """Singular behind 11 to 99 is in the accusative, behind hundreds in the genitive."""
    message = catalogue("ar").get(
        ("And %(num)s more story on the site", "And %(num)s more stories on the site")
    )
    assert message is not None
    plural = gettext.c2py(catalogue("ar").plural_expr)
    said = {number: message.string[plural(number)] for number in (1, 2, 3, 11, 100, 111)}
    assert said[1].startswith("ومقال ")
    assert said[2].startswith("ومقالان ")
    assert " مقالات " in f" {said[3].replace('و%(num)s', '')} "
    assert "مقالًا" in said[11]
    assert "مقالًا" in said[111]
    assert "مقال آخر" in said[100]


def test_no_french_sign_can_begin_or_end_a_line_alone() -> None:
    """A no-break space stands before ; : ! ? and inside guillemets."""
    wrong = re.compile(r" [;:?!»]|« |[^\s\xa0\u202f][;:?!»](?=\s|$)")
    found = [
        string
        for message in catalogue("fr")
        if message.id
        for string in forms(message.string)
        if wrong.search(string)
    ]
    assert found == []


@EACH
def test_the_header_says_whether_a_native_speaker_has_read_it(language: str) -> None:
    assert ("unreviewed" in catalogue(language).header_comment) is (language in UNREVIEWED)


@pytest.mark.parametrize(
    ("text", "string", "fault"),
    [
        ("Save", "", "not translated"),
        ("Save", "Save", "left English"),
        ("Get %(title)s", "Նոր %(titel)s", "other places"),
        ("Get %(title)s", "Նոր", "other places"),
        (("%(num)s day", "%(num)s days"), ("%(num)s օր",), "not translated in every form"),
        (("%(num)s day", "%(num)s days"), ("%(num)s օր", ""), "not translated in every form"),
    ],
)
def test_what_is_wrong_is_found(
    text: str | tuple[str, str], string: str | tuple[str, ...], fault: str
) -> None:
    assert any(fault in one for one in faults(Message(text, string), 2))


def test_a_doubtful_text_is_found() -> None:
    assert faults(Message("Save", "Պահպանել", flags=["fuzzy"]), 2) == ["is marked as doubtful"]
