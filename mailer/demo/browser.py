"""What a reader's browser does, as far as the journey needs it: open a page, fill in a form, send it.

No script, no cookie, no redirect followed: a page that needed one of them would be noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode, urljoin, urlsplit

SECONDS = 15


@dataclass(frozen=True)
class Answer:
    """What a server answered; header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Form:
    """One form of a page with the values it would send if nobody typed anything."""

    action: str
    method: str
    fields: Mapping[str, str]


def get(url: str) -> Answer:
    """Open a page."""
    return _ask("GET", url, None)


def post(url: str, fields: Mapping[str, str]) -> Answer:
    """Send form fields, urlencoded as browsers do."""
    return _ask("POST", url, urlencode(fields))


def forms(page: Answer) -> list[Form]:
    """The forms of a page, with their addresses made absolute."""
    found = _Forms()
    found.feed(page.body)
    found.close()
    return [
        Form(urljoin(page.url, action), method, dict(fields))
        for action, method, fields in found.forms
    ]


def _ask(method: str, url: str, body: str | None) -> Answer:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SECONDS)
    headers = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target or "/", body, headers)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        # Status 0 says that nobody answered; callers compare statuses anyway.
        return Answer(url, 0, {}, f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    return Answer(
        url,
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        text,
    )


class _Forms(HTMLParser):
    """Collects the forms of a page and the values of their fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self._open = False
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = True
            method = values.get("method", "get").lower()
            self.forms.append((values.get("action", ""), method, {}))
        elif self._open:
            self._field(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False
        elif tag == "select":
            self._select = None

    def _field(self, tag: str, values: dict[str, str]) -> None:
        fields = self.forms[-1][2]
        name = values.get("name")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in values or self._select not in fields:
                fields[self._select] = values.get("value", "")
        elif tag == "input" and name:
            chosen = values.get("type") not in {"radio", "checkbox"} or "checked" in values
            if chosen and values.get("type") not in {"submit", "button", "image"}:
                fields[name] = values.get("value", "")
        elif tag == "textarea" and name:
            fields[name] = ""
