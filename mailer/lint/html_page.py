"""Judges the HTML of a mail: what mail programs would cut off, block or distrust."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from mailer.lint.list_headers import is_safe_url
from mailer.lint.parse import Part
from mailer.lint.rules import Problem
from mailer.text.english import pluralise

_LONGEST = 100_000
_LONGEST_HIDDEN = 150
_FEWEST_LETTERS = 20
_VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
}
_INVISIBLE = {"head", "script", "style", "title", "template"}
_ACTIVE = {"script", "iframe", "frame", "frameset", "object", "embed", "applet", "video", "audio"}
_FORM = {"form", "input", "button", "select", "textarea"}
_URL_ATTRIBUTES = {"href", "src", "background", "poster", "action", "srcset"}
_SCRIPTS = ("javascript:", "vbscript:")
_REPORTED_ELSEWHERE = ("data:", *_SCRIPTS)

_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|(?<![-\w])(?:font-size|max-height|opacity)\s*:\s*0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
_POSITION = re.compile(r"(?<![-\w])position\s*:", re.IGNORECASE)
_DATA_URL = re.compile(r"url\(\s*(?:['\"]\s*)?data:", re.IGNORECASE)
_IMPORT = re.compile(r"@import", re.IGNORECASE)
_NO_LETTERS = re.compile("[\\s\u00ad\u034f\u200b-\u200f\u2060\ufeff]+")
_LOOKS_LIKE_URL = re.compile(
    r"(?:https?://|www\.)\S+|(?:[\w-]+\.)+[^\W\d_]{2,}(?:/\S*)?", re.IGNORECASE
)


@dataclass(slots=True)
class _Link:
    url: str
    text: str = ""


@dataclass(slots=True)
class _Page:
    """The parts of an HTML text that are judged, in their order."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    css: list[str] = field(default_factory=list)
    links: list[_Link] = field(default_factory=list)
    visible: str = ""
    hidden: str = ""


class _Reader(HTMLParser):
    """Fills a `_Page`, and keeps track of the open elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = _Page()
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that begins."""
        attributes = {name: value or "" for name, value in reversed(attrs)}
        self.page.tags.append((tag, attributes))
        if "href" in attributes and tag in {"a", "area"}:
            self.page.links.append(_Link(attributes["href"].strip()))
        if tag not in _VOID:
            hidden = "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style", "")))
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and those in it that were left open."""
        opened = [name for name, _ in self._open]
        if tag in opened:
            del self._open[len(opened) - 1 - opened[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """Add text, visible or hidden."""
        names = {name for name, _ in self._open}
        if "style" in names:
            self.page.css.append(data)
        if names & _INVISIBLE:
            return
        if any(hidden for _, hidden in self._open):
            self.page.hidden += data
            return
        self.page.visible += data
        if "a" in names and self.page.links:
            self.page.links[-1].text += data


def judge_html(mail: Part) -> Iterator[Problem]:
    """List the problems with the HTML of the mail, if it has any."""
    for part in mail.leaves():
        if part.media_type == "text/html":
            size = len(part.decoded())
            if size > _LONGEST:
                yield Problem("html-size", f"the HTML has {size} bytes")
            page = _read(part.text)
            yield from _elements(page)
            yield from _styles(page)
            yield from _images(page)
            yield from _links(page)
            hidden = len(_NO_LETTERS.sub("", page.hidden))
            if hidden > _LONGEST_HIDDEN:
                yield Problem(
                    "hidden-text", f"{pluralise(hidden, 'character is', 'characters are')} hidden"
                )


def visible_text(html: str) -> str:
    """Return the text of an HTML document that a reader sees."""
    return _read(html).visible


def _read(html: str) -> _Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


def _elements(page: _Page) -> Iterator[Problem]:
    for tag, attributes in page.tags:
        if tag in _ACTIVE:
            yield Problem("html-active", f"there is a <{tag}>")
        if tag in _FORM:
            yield Problem("html-form", f"there is a <{tag}>")
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            yield Problem("html-active", "a <meta> refreshes the page")
        if tag == "link" and "stylesheet" in attributes.get("rel", "").lower():
            yield Problem("css-external", f"a <link> loads {attributes.get('href')!r}")
        for name, value in attributes.items():
            url = _packed(value) if name in _URL_ATTRIBUTES else ""
            if name.startswith("on") or url.startswith(_SCRIPTS):
                yield Problem("html-active", f"{name} of <{tag}> is a script")
            if url.startswith("data:"):
                yield Problem("data-uri", f"{name} of <{tag}>")


def _styles(page: _Page) -> Iterator[Problem]:
    inlined = [attributes["style"] for _, attributes in page.tags if "style" in attributes]
    if page.css and not inlined:
        yield Problem("css-inline", "there is a <style>, but no element has inline styles")
    css = "\n".join([*page.css, *inlined])
    if _IMPORT.search(css):
        yield Problem("css-external", "a style has @import")
    if _POSITION.search(css):
        yield Problem("css-position", "a style has position")
    if _DATA_URL.search(css):
        yield Problem("data-uri", "in a style")


def _images(page: _Page) -> Iterator[Problem]:
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    for attributes in images:
        url = attributes.get("src", "").strip()
        missing = [name for name in ("width", "height", "alt") if name not in attributes]
        if missing:
            yield Problem("image", f"{url[:60]!r} has no {', '.join(missing)}")
        if not is_safe_url(url) and not _packed(url).startswith(_REPORTED_ELSEWHERE):
            yield Problem("image", f"{url[:60]!r} is not absolute https")
        if {attributes.get("width", ""), attributes.get("height", "")} & {"0", "1"}:
            yield Problem("tracking-pixel", f"{url[:60]!r}")
    if images and len(_NO_LETTERS.sub("", page.visible)) < _FEWEST_LETTERS:
        yield Problem(
            "image-only", f"it holds {pluralise(len(images), 'image')}, and hardly any text"
        )


def _links(page: _Page) -> Iterator[Problem]:
    for link in page.links:
        if _packed(link.url).startswith(_REPORTED_ELSEWHERE):
            continue
        if not is_safe_url(link.url, "mailto"):
            yield Problem("link", f"{link.url[:60]!r} is not absolute https")
            continue
        text = link.text.strip()
        if _LOOKS_LIKE_URL.fullmatch(text) and not _same_host(text, link.url):
            yield Problem("link-text", f"{text[:60]!r} goes to {link.url[:60]!r}")


def _same_host(text: str, url: str) -> bool:
    try:
        shown = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        # It only looks like a URL.
        return False
    return _plain_host(shown) == _plain_host(urlsplit(url).hostname or "")


def _packed(url: str) -> str:
    """Remove the blanks that browsers ignore in a scheme, and lower the case."""
    return "".join(url.split()).lower()


def _plain_host(host: str) -> str:
    # A host that cannot be encoded is compared as it is.
    with suppress(UnicodeError):
        host = host.encode("idna").decode("ascii")
    return host.lower().removeprefix("www.")
