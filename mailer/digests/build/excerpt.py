"""Cuts an article's summary, which is sanitised HTML, down to a few plain paragraphs for a digest.

Pure. Nothing that comes out is markup.
"""

import re
from collections.abc import Sequence
from typing import Final

from mailer.text.html_blocks import TextRun, read_blocks

_ELLIPSIS: Final = "…"
_LINE: Final = 70
_TEASER_END: Final = re.compile(r"(?<!\s)([.!?…։؟]?)\s*(?:\[\s*(?:…|\.\.\.)\s*\]|\.\.\.|…)\s*$")
"""How feeds say that a text goes on, such as [...], with the end of a sentence before it."""
_NO_BREAK: Final = "[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]"
_BLANKS: Final = re.compile(rf"(?!(?<=[«‹№§\d]){_NO_BREAK}\S|(?<=\S){_NO_BREAK}[»›:;?!%–—€$£°])\s+")
"""A run of blanks, except a single no-break space beside such a sign or after a digit."""
_CREDIT_LENGTH: Final = 60
"""At most so many characters of "The post … appeared first on …" are outside its links, in any language."""


def excerpt(summary_html: str, longest: int) -> tuple[str, ...]:
    """Cut a summary to its first paragraphs: as many as begin within `longest` characters, cut at a word."""
    kept: list[str] = []
    room = longest
    for paragraph in paragraphs(summary_html):
        kept.append(shorten(paragraph, room))
        # However short, it has a line of its own.
        room -= max(len(paragraph), _LINE)
        if room < longest // 4:
            break
    return tuple(kept)


def paragraphs(summary_html: str) -> tuple[str, ...]:
    """Read each line of each block of the HTML; an item of a list begins with a bullet.

    A last one that only says where the article appeared first is left out.
    """
    lines = [
        ("• " if block.tag == "li" and number == 0 else "", runs)
        for block in read_blocks(summary_html)
        for number, runs in enumerate(block.lines)
        if "".join(run.text for run in runs).replace("•", "").strip()
    ]
    if len(lines) > 1 and _is_credit(lines[-1][1]):
        lines.pop()
    texts = (on_one_line(bullet + "".join(run.text for run in runs)) for bullet, runs in lines)
    return tuple(_TEASER_END.sub(lambda end: end[1] or _ELLIPSIS, text) for text in texts)


def _is_credit(runs: Sequence[TextRun]) -> bool:
    """Whether it is what WordPress sites put below each entry: the article's link, and the site's.

    Recognised by its links, because its words differ with the site's language.
    """
    links = [run.link for run in runs if run.link is not None]
    unlinked = sum(len(run.text) for run in runs if run.link is None)
    return (
        len(links) == 2
        and unlinked <= _CREDIT_LENGTH
        and links[0] != links[1]
        and links[0].startswith(links[1].rstrip("/") + "/")
    )


def on_one_line(text: str) -> str:
    """Write `text` with a space for each run of blanks, and none around it.

    A no-break space stays beside signs and after digits, where French and Russian typography asks for
    one. Elsewhere programs leave them by accident, and a text full of them could not be broken into lines.
    """
    return _BLANKS.sub(" ", text).strip()


def shorten(text: str, longest: int) -> str:
    """Cut `text` at a word to one line of at most `longest` characters, with … where it was cut."""
    text = on_one_line(text)
    if len(text) <= longest:
        return text
    head = text[:longest]
    word_end = head.rfind(" ")
    # A language written without spaces, or one endless word, is cut where it is too long.
    if word_end < longest // 2:
        word_end = longest - 1
    return head[:word_end].rstrip(" ,;:.-–—") + _ELLIPSIS
