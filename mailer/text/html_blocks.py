"""Reads HTML as blocks of plain text: paragraphs, headings, items of lists, quotations, with their links.

Pure. Never decides how a block is printed. Nothing that comes out is markup.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset({"p", "div", "h1", "h2", "h3", "ul", "ol", "li", "blockquote", "hr"})
_UNSEEN: Final = frozenset({"script", "style", "title"})
_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")


@dataclass
class TextRun:
    """Text within a line; `link` is where it leads, None outside links."""

    text: str
    link: str | None


@dataclass(frozen=True)
class TextBlock:
    """A block that says something, or a line across the page (`hr`).

    Attributes:
        tag: the element that it begins with; empty for text behind the end of another block.
        lines: what stands between its line breaks.
        bullet: what begins the first block of an item: "- ", or its number as in "2. "; else empty.
        lists, quotations: how many of them it is nested in.
    """

    tag: str
    lines: list[list[TextRun]]
    bullet: str
    lists: int
    quotations: int


def read_blocks(html: str) -> list[TextBlock]:
    """Read the blocks of some HTML, best sanitised, in order."""
    reader = _BlockReader()
    reader.feed(html)
    reader.close()
    reader.end_block()
    return reader.blocks


class _BlockReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[TextBlock] = []
        self._tag = ""
        self._lines: list[list[TextRun]] = [[]]
        self._link: str | None = None
        self._bullet = ""
        self._lists: list[int | None] = []
        self._quotations = 0
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, a line or a link."""
        if tag in _BLOCKS:
            self.end_block(tag)
        match tag:
            case "br":
                self._lines.append([])
            case "a":
                self._link = dict(attrs).get("href") or ""
                self._lines[-1].append(TextRun("", self._link))
            case "ul" | "ol":
                self._lists.append(0 if tag == "ol" else None)
            case "li":
                self._bullet = self._next_bullet()
            case "blockquote":
                self._quotations += 1
            case "hr":
                self.end_block()
            case _ if tag in _UNSEEN:
                self._unseen += 1

    def handle_endtag(self, tag: str) -> None:
        """End a block or a link; what follows a block is a block of its own."""
        if tag in _BLOCKS:
            self.end_block()
        match tag:
            case "a":
                self._link = None
            case "ul" | "ol":
                del self._lists[-1:]
            case "li":
                self._bullet = ""
            case "blockquote":
                self._quotations = max(0, self._quotations - 1)
            case _ if tag in _UNSEEN:
                self._unseen = max(0, self._unseen - 1)

    def handle_data(self, data: str) -> None:
        """Add text to the open line; its own line ends are blanks."""
        if self._unseen:
            return
        line = self._lines[-1]
        if not line or line[-1].link is not self._link:
            line.append(TextRun("", self._link))
        line[-1].text += _BLANKS.sub(" ", data)

    def end_block(self, next_tag: str = "") -> None:
        """Keep the open block if it says something, and begin another."""
        runs = [run for line in self._lines for run in line]
        # A link that is still open leads from words in the blocks to come.
        is_closed = self._link is None
        if self._tag == "hr" or any(run.text.strip() or (run.link and is_closed) for run in runs):
            block = TextBlock(
                self._tag, self._lines, self._bullet, len(self._lists), self._quotations
            )
            self.blocks.append(block)
            self._bullet = ""
        self._tag, self._lines = next_tag, [[]]

    def _next_bullet(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "
