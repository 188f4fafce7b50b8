"""Fills in and sends the forms of pages, as a browser that shows nothing.

A form can only be sent as a person could: with the fields and choices that the page offers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from mailer.demo import browser


class NoSuchForm(Exception):
    """The page has no form with such fields or choices."""


@dataclass
class Form:
    """A form of a page: what it sends unless something is changed, and what may be chosen instead."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, set[str]] = field(default_factory=dict)
    buttons: int = 0

    def choose(self, name: str, value: str, is_chosen: bool) -> None:
        """Take up a choice, which may be the one that is made already."""
        self.choices.setdefault(name, set()).add(value)
        if is_chosen:
            self.fields[name] = value

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
    answer = browser.get(url) if fields is None else browser.post(url, fields)
    return answer.status, answer.body


def send(url: str, page: str, entries: Mapping[str, str]) -> tuple[int, str]:
    """Fill in the first form of a page that has all these fields, and press its button.

    Raises:
        NoSuchForm: there is none, or it has no button, or offers no such choice.
    """
    for form in forms(page):
        if form.buttons and entries.keys() <= form.fields.keys() | form.choices.keys():
            return open_page(urljoin(url, form.action), form.filled_in(entries))
    raise NoSuchForm(f"{url} has no form with {sorted(entries)} and a button")


def forms(page: str) -> list[Form]:
    """The forms of a page, with what can be chosen in each."""
    found: list[Form] = []
    form, select = Form(""), ""
    for tag, values in browser.tags(page):
        name, value = values.get("name", ""), values.get("value", "")
        if tag in {"form", "/form"}:
            form = Form(values.get("action", ""))
            found += [form] if tag == "form" else []
        elif tag == "button":
            form.buttons += 1
            if name:
                form.choose(name, value, is_chosen=False)
        elif tag == "select":
            select = name
        elif tag == "option":
            form.choose(select, value, "selected" in values)
        elif tag == "input" and values.get("type") in ("radio", "checkbox"):
            form.choose(name, value, "checked" in values)
        elif tag == "input" and name:
            form.fields[name] = value
    return found
