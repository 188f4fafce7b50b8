"""Turns an introduction that staff wrote, in Markdown, HTML or plain text, into harmless HTML and plain text.

Pure. What comes out has a few plain elements, links to the web and to addresses, and no picture.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import nh3
from markdown_it import MarkdownIt

from mailer.errors import Refused
from mailer.templating.formats import wrap
from mailer.text.html_blocks import TextRun, read_blocks
from mailer.text.plain_text import as_html

_KEPT: Final = frozenset(
    {"p", "h2", "h3", "a", "em", "strong", "ul", "ol", "li", "blockquote", "br", "hr"}
)
_RENAMED: Final = {"h1": "h2", "h4": "h3", "h5": "h3", "h6": "h3", "b": "strong", "i": "em"} | (
    dict.fromkeys(("div", "section", "article", "table", "tr", "pre"), "p")
)
_UNSEEN: Final = frozenset({"script", "style", "title", "template", "iframe", "object", "svg"})
_RENAMED_TAG: Final = re.compile(rf"<(/?)({'|'.join(_RENAMED)})>")
_EMPTY: Final = re.compile(r"<(p|li|h2|h3)>\s*</\1>")
_RULE: Final = "----------"


class TextFormat(StrEnum):
    """How an introduction is written; the value is the ending of its file."""

    MARKDOWN = ".md"
    HTML = ".html"
    TEXT = ".txt"


@dataclass(frozen=True)
class Intro:
    """An introduction in both parts of a mail. `html` is sanitised."""

    html: str
    text: str


def read_intro(written: str, text_format: TextFormat) -> Intro:
    """Read an introduction that staff wrote.

    Raises:
        Refused: no words are left in it.
    """
    match text_format:
        case TextFormat.MARKDOWN:
            # HTML in Markdown is shown as it was typed: staff who want elements give an HTML file.
            markup = MarkdownIt("commonmark", {"html": False}).render(written)
        case TextFormat.HTML:
            markup = written
        case TextFormat.TEXT:
            markup = as_html(written)
    clean = _sanitised(markup)
    text = _as_text(clean)
    if not text:
        raise Refused("the introduction is empty; write some text into the file")
    return Intro(html=clean, text=text)


def _sanitised(markup: str) -> str:
    first = nh3.clean(
        markup,
        tags=set(_KEPT | _RENAMED.keys()),
        clean_content_tags=set(_UNSEEN),
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel=None,
    )
    renamed = _RENAMED_TAG.sub(lambda tag: f"<{tag[1]}{_RENAMED[tag[2]]}>", first)
    # Elements that were renamed are nested properly again.
    nested = nh3.clean(renamed, tags=set(_KEPT), attributes={"a": {"href"}}, link_rel=None)
    return _EMPTY.sub("", nested).strip()


def _as_text(markup: str) -> str:
    """Write sanitised HTML as plain text: lists with signs, links in brackets, an empty line between blocks.

    Items of a list stand together.
    """
    text = ""
    after_item = False
    for block in read_blocks(markup):
        lines = [_RULE] if block.tag == "hr" else list(map(_line, block.lines))
        quotation = "> " * block.quotations
        indent = "  " * max(0, block.lists - 1)
        if text:
            text += "\n" if block.bullet and after_item else "\n\n"
        text += _indented(lines, f"{quotation}{indent}{block.bullet}", quotation)
        after_item = bool(block.bullet)
    return text


def _line(runs: Sequence[TextRun]) -> str:
    text = ""
    for run in runs:
        text += run.text
        address = (run.link or "").removeprefix("mailto:")
        if address and run.text.strip() not in (run.link, address):
            text += f" ({address})"
    return " ".join(text.split())


def _indented(lines: Sequence[str], first: str, quotation: str) -> str:
    """Wrap the lines behind `first`; the later ones have blanks in place of its sign."""
    rest = quotation + " " * (len(first) - len(quotation))
    wrapped = [
        wrap(f"{rest if number else first}{line}", rest) if line else rest.rstrip()
        for number, line in enumerate("\n".join(lines).strip().split("\n"))
    ]
    return "\n".join(wrapped)
