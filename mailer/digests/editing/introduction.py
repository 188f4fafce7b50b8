"""An introduction as staff wrote it, in Markdown, HTML or plain text: made harmless HTML, and text of it.

Pure. Whatever comes out has a few plain elements, links to the web and to addresses, and no picture.
"""

import html
import re
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from typing import Final

import nh3
from markdown_it import MarkdownIt

from mailer.errors import Refused
from mailer.templating.formats import wrap

_KEPT: Final = frozenset(
    {"p", "h2", "h3", "a", "em", "strong", "ul", "ol", "li", "blockquote", "br", "hr"}
)
_RENAMED: Final = {"h1": "h2", "h4": "h3", "h5": "h3", "h6": "h3", "b": "strong", "i": "em"} | (
    dict.fromkeys(("div", "section", "article", "table", "tr", "pre"), "p")
)
_UNSEEN: Final = frozenset({"script", "style", "title", "template", "iframe", "object", "svg"})
_RENAMED_TAG: Final = re.compile(rf"<(/?)({'|'.join(_RENAMED)})>")
_EMPTY: Final = re.compile(r"<(p|li|h2|h3)>\s*</\1>")
_LINE: Final = "----------"


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


def read_intro(written: str, how: TextFormat) -> Intro:
    """The introduction that staff wrote.

    Raises:
        Refused: nothing is left of it to read.
    """
    match how:
        case TextFormat.MARKDOWN:
            # HTML in Markdown is shown as it was typed: whoever wants elements gives a file of HTML.
            made = MarkdownIt("commonmark", {"html": False}).render(written)
        case TextFormat.HTML:
            made = written
        case TextFormat.TEXT:
            made = _paragraphs(written)
    clean = _sanitised(made)
    text = _text(clean)
    if not text:
        raise Refused("the introduction says nothing; write some words into the file")
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


def _paragraphs(text: str) -> str:
    """Plain text as HTML: an empty line begins a paragraph, a line end is a break."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(f"<p>{html.escape(one).replace(chr(10), '<br>')}</p>" for one in blocks)


def _text(markup: str) -> str:
    reader = _IntroductionParser()
    reader.feed(markup)
    reader.close()
    return reader.text()


class _IntroductionParser(HTMLParser):
    """Writes sanitised HTML as plain text: a block a paragraph, lists with signs, links in brackets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[tuple[str, str]] = []
        self._words = ""
        self._lists: list[int | None] = []
        self._quotes = 0
        self._sign = ""
        self._link = ""
        self._link_from = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins a paragraph."""
        match tag:
            case "br":
                self._words += "\n"
            case "a":
                self._link, self._link_from = dict(attrs).get("href") or "", len(self._words)
            case "ul" | "ol":
                self._end_block()
                self._lists.append(0 if tag == "ol" else None)
            case "li":
                self._end_block()
                self._sign = self._next_sign()
            case "blockquote":
                self._end_block()
                self._quotes += 1
            case "hr":
                self._end_block()
                self._blocks.append((self._lead(), _LINE))
            case "p" | "h2" | "h3":
                self._end_block()

    def handle_endtag(self, tag: str) -> None:
        """What follows a block is a paragraph of its own."""
        match tag:
            case "a":
                words = self._words[self._link_from :].strip()
                target = self._link.removeprefix("mailto:")
                if self._link and words not in (self._link, target):
                    self._words += f" ({target})"
                self._link = ""
            case "ul" | "ol":
                self._end_block()
                self._lists.pop()
            case "blockquote":
                self._end_block()
                self._quotes -= 1
            case "p" | "h2" | "h3" | "li":
                self._end_block()

    def handle_data(self, data: str) -> None:
        """Text belongs to the block that is open; its line ends are spaces."""
        self._words += re.sub(r"\s+", " ", data)

    def text(self) -> str:
        """All blocks, with an empty line between them; items of a list stand together."""
        self._end_block()
        made = ""
        before = ""
        for lead, block in self._blocks:
            is_item = lead.strip("> ") != ""
            apart = "" if not made else "\n" if is_item and before.strip("> ") != "" else "\n\n"
            made += apart + _laid_out(lead, block)
            before = lead
        return made

    def _next_sign(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "

    def _lead(self) -> str:
        """What stands before the first line of a block."""
        indent = "  " * max(0, len(self._lists) - 1)
        return "> " * self._quotes + indent + self._sign

    def _end_block(self) -> None:
        lines = [" ".join(line.split()) for line in self._words.split("\n")]
        block = "\n".join(lines).strip()
        if block:
            self._blocks.append((self._lead(), block))
            self._sign = ""
        self._words = ""


def _laid_out(lead: str, block: str) -> str:
    quote = "> " * lead.count("> ")
    rest = quote + " " * (len(lead) - len(quote))
    return "\n".join(
        # The sign stands before the first line only; a quotation's before each.
        wrap(f"{lead if number == 0 else rest}{line}", rest) if line else rest.rstrip()
        for number, line in enumerate(block.split("\n"))
    )
