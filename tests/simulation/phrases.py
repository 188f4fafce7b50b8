"""Finds what mails say in the language of a newspaper, by the English words in the catalogues.

Knows only the words: who should get which number with them is decided in `model`.
"""

import re
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

CATALOGUES = Path(__file__).parents[2] / "templates" / "translations"

MORE = "And %(num)s more story on the site"
READERS = "As things stand, %(num)s reader will get it."
STOP, SEND = "Stop this digest", "Send it now"
HELLO = "Hello %(name)s,"
SENT, FAILED, IN_DOUBT = "Sent", "Failed", "In doubt"


def said(language: str, words: str) -> str:
    """These words in that language; where they stand with a number, in its first form."""
    return _forms(language, words)[0]


def number_in(language: str, words: str, text: str) -> int | None:
    """The number that a text says with these words, in whichever plural; None where it says none."""
    for form in _forms(language, words):
        pattern = re.escape(form).replace(re.escape("%(num)s"), r"(\d+)").replace(r"\ ", r"\s+")
        if found := re.search(rf"(?<!\w){pattern}", text):
            return int(found[1])
    return None


def number_after(language: str, words: str, text: str) -> int | None:
    """The number that follows these words and a colon."""
    found = re.search(rf"^{re.escape(said(language, words))}\W+(\d+)", text, re.MULTILINE)
    return None if found is None else int(found[1])


def link_after(language: str, words: str, text: str) -> str:
    """The link that follows these words and a colon.

    Raises:
        ValueError: there is none.
    """
    found = re.search(
        rf"^{re.escape(said(language, words))}\W{{1,3}}\n(http\S+)", text, re.MULTILINE
    )
    if found is None:
        raise ValueError(f"no link after {said(language, words)!r} in:\n{text[:600]}")
    return found[1]


def _forms(language: str, words: str) -> tuple[str, ...]:
    """All plural forms.

    Raises:
        KeyError: no mail says these words any more.
    """
    message = _catalogue("ru" if language == "en" else language).get(words)
    if message is None:
        raise KeyError(f"the catalogue of {language} does not have {words!r}")
    found = message.id if language == "en" else message.string
    return (found,) if isinstance(found, str) else tuple(found or ())


@cache
def _catalogue(language: str) -> Catalog:
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)
