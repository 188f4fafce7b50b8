"""A browser that shows nothing: opens pages, and fills in and sends the forms that it finds there.

A form can only be sent as a person could: with the fields and choices that the page offers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import Request, urlopen

SECONDS = 30


class NoSuchForm(Exception):
    """The page has no form with such fields or choices."""


@dataclass
class Form:
    """A form of a page: what it sends unless something is changed, and what may be chosen instead."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, set[str]] = field(default_factory=dict)
    buttons: int = 0

    def filled_in(self, entries: Mapping[str, str]) -> dict[str, str]:
        """What is sent after these entries.

        Raises:
            NoSuchForm: one of them cannot be entered.
        """
        for name, value in entries.items():
            if name not in self.fields and name not in self.choices:
                raise NoSuchForm(f"no field {name!r}; there are {sorted(self.fields)}")
            if name in self.choices and value not in self.choices[name]:
                raise NoSuchForm(f"{name} cannot be {value!r}, only {sorted(self.choices[name])}")
        return self.fields | dict(entries)


def open_page(url: str, fields: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Open a page, or send a form's fields to it; status 0 where nobody answers."""
    data = None if fields is None else urlencode(fields).encode()
    try:
        with urlopen(Request(url, data), timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        # Nobody listens, or hung up before the answer.
        return 0, str(error)


def send(url: str, page: str, entries: Mapping[str, str]) -> tuple[int, str]:
    """Fill in the first form of a page that has all these fields, and press its button.

    Raises:
        NoSuchForm: there is none, or it has no button, or offers no such choice.
    """
    reader = _Forms()
    reader.feed(page)
    for form in reader.found:
        if form.buttons and entries.keys() <= form.fields.keys() | form.choices.keys():
            return open_page(urljoin(url, form.action), form.filled_in(entries))
    raise NoSuchForm(f"{url} has no form with {sorted(entries)} and a button")


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.found.append(Form(has.get("action") or ""))
            self._inside = True
        elif self._inside:
            self._take(self.found[-1], tag, has, has.get("name") or "", has.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"

    def _take(
        self, form: Form, tag: str, has: Mapping[str, str | None], name: str, value: str
    ) -> None:
        if tag == "button":
            form.buttons += 1
        elif tag == "select":
            self._select = name
        elif tag == "option":
            self._choose(form, self._select, value, "selected" in has)
        elif tag == "input" and has.get("type") in ("radio", "checkbox"):
            self._choose(form, name, value, "checked" in has)
        elif tag == "input" and name:
            form.fields[name] = value

    @staticmethod
    def _choose(form: Form, name: str, value: str, is_chosen: bool) -> None:
        form.choices.setdefault(name, set()).add(value)
        if is_chosen:
            form.fields[name] = value
