"""Does what a reader's browser does, as far as the demo needs it: opens a page and sends a form.

No script, no cookie, no redirect followed: a page that needed one of them would be noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

import urllib3

SECONDS = 60

Tag = tuple[str, dict[str, str]]
"""The name of a tag, and its attributes."""


@dataclass(frozen=True)
class PageAnswer:
    """What a server answered: the page, or status 0 and the reason if nothing answered."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class HtmlForm:
    """One form of a page with the values that it sends if the reader changes nothing."""

    action: str
    method: str
    fields: dict[str, str]


def get(url: str) -> PageAnswer:
    """Open a page."""
    return _request("GET", url)


def post(url: str, fields: Mapping[str, str]) -> PageAnswer:
    """Send form fields, urlencoded as browsers do."""
    return _request("POST", url, urlencode(fields))


def tags(html: str) -> list[Tag]:
    """Return the tags of a page with their attributes, in order; end tags begin with a slash."""
    parser = _TagParser()
    parser.feed(html)
    parser.close()
    return parser.tags


def forms(page: PageAnswer) -> list[HtmlForm]:
    """Return the forms of a page, with their addresses made absolute."""
    html_forms: list[HtmlForm] = []
    fields: dict[str, str] = {}
    select = None
    for tag, attributes in tags(page.body):
        name, value = attributes.get("name", ""), attributes.get("value", "")
        kind = attributes.get("type")
        if tag in {"form", "/form"}:
            fields = {}
            if tag == "form":
                action = urljoin(page.url, attributes.get("action", ""))
                method = attributes.get("method", "get").lower()
                html_forms.append(HtmlForm(action, method, fields))
        elif tag in {"select", "/select"}:
            select = name
        elif tag == "option" and select and ("selected" in attributes or select not in fields):
            fields[select] = value
        elif tag in {"input", "textarea"} and name:
            is_chosen = kind not in {"radio", "checkbox"} or "checked" in attributes
            if is_chosen and kind not in {"submit", "button", "image"}:
                fields[name] = value
    return html_forms


def _request(method: str, url: str, form: str | None = None) -> PageAnswer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    try:
        answer = urllib3.request(
            method, url, body=form, headers=headers, redirect=False, retries=False, timeout=SECONDS
        )
    except urllib3.exceptions.HTTPError as error:
        return PageAnswer(url, 0, {}, f"{type(error).__name__}: {error}")
    return PageAnswer(url, answer.status, answer.headers, answer.data.decode("utf-8", "replace"))


class _TagParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[Tag] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a start tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Keep an end tag."""
        self.tags.append((f"/{tag}", {}))
