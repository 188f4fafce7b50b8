"""Refuses documents that would keep the feed library busy for minutes. Pure.

A server may send five megabytes that are made for it: what is counted here is what the library's time
grows with, or grows with the square of. Real feeds stay far below each of these bounds, which are counted
with a few searches of the text and no parsing.
"""

import re
from collections.abc import Iterator
from typing import Final

from mailer.errors import FeedUnreadable
from mailer.feeds.cut import without

MOST_TAGS: Final = 400_000
"""Opening and closing tags of a whole document: some twenty thousand entries have as many."""
MOST_ATTRIBUTES: Final = 500
MOST_TERMS: Final = 500
"""Categories and keywords of one entry: each one is compared with all others."""
LONGEST_WORD: Final = 300
"""Letters without a space in the name of an author, which the library searches for an address."""

_LONG_TAG: Final = 2000

_ENTRY = re.compile(r"<(?:[\w.-]+:)?(?:item|entry)(?=[\s/>])", re.IGNORECASE)
_TERM = re.compile(r"<(?:[\w.-]+:)?(category|subject|tags|keywords)(?=[\s/>])", re.IGNORECASE)
_KEYWORDS = re.compile(r"<(?:[\w.-]+:)?(?:keywords|tags)(?=[\s/>])[^>]*>", re.IGNORECASE)
_PERSON = re.compile(
    r"<(/?)(?:[\w.-]+:)?(?:author|creator|contributor|publisher|owner|managingeditor|webmaster"
    r"|name|email)(?=[\s/>])",
    re.IGNORECASE,
)
_TAG_INSIDE = re.compile(r"<!\[CDATA\[|\]\]>|<[^<>]*>")
_WORD = re.compile(rf"(?:[\w.+-]|&#?\w{{1,8}};){{{LONGEST_WORD},}}")
_TAG_TEXT = re.compile(r"""(?:[^"'>]|"[^"]*"|'[^']*')*""")
_ATTRIBUTE = re.compile(r"=\s*[\"']")


def refuse_burden(text: str) -> None:
    """Nothing, where the library can read `text` in a time that its size justifies.

    Args:
        text: an XML document from its root element on.

    Raises:
        FeedUnreadable: it is made to be slow, or damaged beyond use.
    """
    bare = without(text, "<![CDATA[", "]]>")
    if bare.count("<") > MOST_TAGS:
        raise _refusal(f"more than {MOST_TAGS:,} tags")
    if any(_has_many_attributes(piece) for piece in bare.split("<") if len(piece) > _LONG_TAG):
        raise _refusal(f"a tag with more than {MOST_ATTRIBUTES} attributes")
    if _may_have_many_terms(text) and any(
        _terms(entry) > MOST_TERMS for entry in _ENTRY.split(text)
    ):
        raise _refusal(f"an entry with more than {MOST_TERMS} categories")
    # Most feeds have no such word anywhere, which is quickly seen.
    if max(map(len, text.split()), default=0) >= LONGEST_WORD and any(
        _WORD.search(_TAG_INSIDE.sub("", name)) for name in _persons(text)
    ):
        raise _refusal(f"an author's name with a word of more than {LONGEST_WORD} letters")


def _has_many_attributes(piece: str) -> bool:
    tag = _TAG_TEXT.match(piece)
    return tag is not None and len(_ATTRIBUTE.findall(tag[0])) > MOST_ATTRIBUTES


def _may_have_many_terms(text: str) -> bool:
    names = _TERM.findall(text)
    return len(names) > MOST_TERMS or any(name.lower() in {"tags", "keywords"} for name in names)


def _terms(entry: str) -> int:
    terms = len(_TERM.findall(entry))
    for begin in _KEYWORDS.finditer(entry):
        end = entry.find("</", begin.end())
        terms += entry.count(",", begin.end(), len(entry) if end < 0 else end)
        if terms > MOST_TERMS:
            break
    return terms


def _persons(text: str) -> Iterator[str]:
    """What stands between the edges of elements that name somebody, as far as it is inside one."""
    depth, inside_from = 0, 0
    for edge in _PERSON.finditer(text):
        if depth:
            yield text[inside_from : edge.start()]
        depth = max(0, depth + (-1 if edge[1] else 1))
        inside_from = edge.end()
    if depth:
        yield text[inside_from:]


def _refusal(reason: str) -> FeedUnreadable:
    return FeedUnreadable(f"the document has {reason}; tell who runs the site")
