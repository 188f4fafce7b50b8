"""The beginning of an article's summary as plain paragraphs, for both parts of a digest.

Takes sanitised HTML and makes text of it; nothing that comes out is markup.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset({"p", "ul", "ol", "li", "blockquote", "br", "div", "h1", "h2", "h3"})
_UNSEEN: Final = frozenset({"script", "style", "title"})
_ELLIPSIS: Final = "…"
_LINE: Final = 70
_TEASER_END: Final = re.compile(r"(?<!\s)([.!?…։؟]?)\s*(?:\[\s*(?:…|\.\.\.)\s*\]|\.\.\.|…)\s*$")
"""How feeds say that a text goes on, such as [...], with the end of a sentence before it."""
_NO_BREAK: Final = "[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]"
_BLANKS: Final = re.compile(rf"(?!(?<=[«‹№§\d]){_NO_BREAK}\S|(?<=\S){_NO_BREAK}[»›:;?!%–—€$£°])\s+")
"""A run of blanks, but a single no-break space beside such a sign or behind a figure."""
_CREDIT_LENGTH: Final = 60
"""Characters outside its links of "The post … appeared first on …", in the languages it comes in."""


def excerpt(summary_html: str, longest: int) -> tuple[str, ...]:
    """The paragraphs of a summary, as many as begin within `longest` characters, cut at a word."""
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
    """The text of each block of the HTML; an item of a list begins with a bullet.

    A last one that only says where the article appeared first is left out.
    """
    reader = _ExcerptParser()
    reader.feed(summary_html)
    reader.close()
    return reader.paragraphs()


def on_one_line(text: str) -> str:
    """`text` with a space for each run of blanks, and none around it.

    A no-break space stays beside signs and behind figures, where French and Russian typography asks for
    one. Elsewhere programs leave them by accident, and a text full of them could not be broken into lines.
    """

    return _BLANKS.sub(" ", text).strip()


def shorten(text: str, longest: int) -> str:
    """`text` on one line, cut at a word to at most `longest` characters, with … where it was cut."""
    text = on_one_line(text)
    if len(text) <= longest:
        return text
    head = text[:longest]
    word_end = head.rfind(" ")
    # A language written without spaces, or one endless word, is cut where it is too long.
    if word_end < longest // 2:
        word_end = longest - 1
    return head[:word_end].rstrip(" ,;:.-–—") + _ELLIPSIS


@dataclass
class _Block:
    """A paragraph that is being read; `unlinked` counts the characters outside its links."""

    text: str = ""
    links: list[str] = field(default_factory=list)
    unlinked: int = 0

    def is_credit(self) -> bool:
        """Whether it is what WordPress sites put below each entry: the article's link, and the site's.

        Told by its links, because its words differ with the site's language.
        """
        return (
            len(self.links) == 2
            and self.unlinked <= _CREDIT_LENGTH
            and self.links[0] != self.links[1]
            and self.links[0].startswith(self.links[1].rstrip("/") + "/")
        )


class _ExcerptParser(HTMLParser):
    """Collects the texts of blocks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks = [_Block()]
        self._unseen = 0
        self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins a paragraph."""
        if tag in _UNSEEN:
            self._unseen += 1
        if tag in _BLOCKS:
            self._blocks.append(_Block("• " if tag == "li" else ""))
        if tag == "a":
            self._in_link = True
            self._blocks[-1].links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        """What follows a block is a paragraph of its own."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        if tag in _BLOCKS:
            self._blocks.append(_Block())
        if tag == "a":
            self._in_link = False

    def handle_data(self, data: str) -> None:
        """Text belongs to the block that is open."""
        if not self._unseen:
            self._blocks[-1].text += data
            self._blocks[-1].unlinked += 0 if self._in_link else len(data)

    def paragraphs(self) -> tuple[str, ...]:
        """The blocks that say something."""
        telling = [block for block in self._blocks if block.text.replace("•", "").strip()]
        if len(telling) > 1 and telling[-1].is_credit():
            telling.pop()
        texts = (on_one_line(block.text) for block in telling)
        return tuple(_TEASER_END.sub(lambda end: end[1] or _ELLIPSIS, text) for text in texts)
