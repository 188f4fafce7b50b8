"""Reads the report of a delivery status notification (RFC 3464, RFC 6533), however it is laid out.

Never decides why a mail failed: it returns what each group of fields says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailer.bounces.reading.addresses import typed_address
from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.mime import MimePart, ReadMail

_MOST_RECIPIENTS: Final = 200
_LONGEST_VALUE: Final = 2_000
_STATUS: Final = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{2,40})[ \t]{0,9}:(.*)", re.DOTALL)
_REPORTS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RECIPIENT_FIELDS: Final = frozenset(
    {"original-recipient", "final-recipient", "x-actual-recipient"}
)
_OF_RECIPIENT: Final = frozenset(
    {*_RECIPIENT_FIELDS, "action", "status", "diagnostic-code", "remote-mta", "last-attempt-date",
     "will-retry-until", "final-log-id"}
)  # fmt: skip
_LEAST: Final = frozenset({"action", "status"})
_MOST_FIELDS: Final = 50
_FAILED: Final = ("fail", "error", "expire", "den", "reject", "undeliver", "bounce")


@dataclass(frozen=True)
class ReportGroup:
    """The fields about one recipient."""

    fields: HeaderFields

    @property
    def address(self) -> str | None:
        """The address that the mail was sent to, before anybody changed or forwarded it."""
        addresses = [
            typed_address(self.fields.text(name))
            for name in ("original-recipient", "final-recipient", "x-actual-recipient")
        ]
        whole = [address for address in addresses if address and "@" in address]
        return whole[0] if whole else next((one for one in addresses if one), None)

    @property
    def action(self) -> str | None:
        """The first word of Action in lower case; what is no standard word becomes one if it can."""
        words = self.fields.get("action").lower().replace("(", " ").split()
        word = words[0].strip("\"';,.<>") if words else ""
        if word.startswith(_FAILED):
            return "failed"
        if word.startswith(("delay", "defer")):
            return "delayed"
        return word[:40] or None

    @property
    def status(self) -> str | None:
        found = _STATUS.search(self.fields.get("status")[:200])
        return found[0] if found else None

    @property
    def diagnostic(self) -> str:
        """What was said, without the type that stands before it."""
        value = self.fields.text("diagnostic-code")[:_LONGEST_VALUE]
        kind, semicolon, said = value.partition(";")
        return said.strip() if semicolon and len(kind) <= 20 and " " not in kind.strip() else value


@dataclass(frozen=True)
class StatusReport:
    """A whole report: what it says about the mail, and about each recipient."""

    about_mail: HeaderFields
    groups: tuple[ReportGroup, ...]


def find_report(mail: ReadMail) -> StatusReport | None:
    """Return the report in a mail, or None. One in a mail that was forwarded counts last."""
    parts = sorted(mail.parts, key=lambda part: part.is_returned)
    for part in parts:
        if part.content_type in _REPORTS or _is_named_as_report(part):
            report = read_report(part.text())
            if report.groups:
                return report
    for part in parts:
        if part.content_type in ("text/plain", "application/octet-stream") and not part.is_returned:
            text = part.text()
            if "inal-recipient:" in text.lower():
                report = read_report(_from_first_field(text))
                if report.groups and any(group.fields.get("action") for group in report.groups):
                    return report
    return None


def _is_named_as_report(part: MimePart) -> bool:
    return part.content_type.startswith("message/") and "status" in part.content_type


def _from_first_field(text: str) -> str:
    """Cut what stands before the report in the text for people."""
    lower = text.lower()
    places = [
        lower.find(name) for name in ("reporting-mta:", "original-recipient:", "final-recipient:")
    ]
    return text[min((place for place in places if place >= 0), default=0) :]


def read_report(text: str) -> StatusReport:
    """Read the groups of fields of a report.

    Empty lines divide them only where that makes sense, because some write one behind each field, and
    others none at all: a field that a group has already begins the next one.
    """
    about_mail: list[tuple[str, str]] = []
    groups: list[list[tuple[str, str]]] = []
    current = about_mail
    may_end = False
    for name, value in _fields(text):
        known = {one for one, _ in current}
        if not name:
            may_end = bool(known & _RECIPIENT_FIELDS) and not _LEAST.isdisjoint(known)
            continue
        if current is about_mail:
            is_next = name in _OF_RECIPIENT
        else:
            again = name in known
            begins = name in _RECIPIENT_FIELDS
            is_next = (again and begins) or (may_end and (again or begins))
        may_end = False
        if is_next:
            if len(groups) >= _MOST_RECIPIENTS:
                break
            current = []
            groups.append(current)
        if len(current) < _MOST_FIELDS:
            current.append((name, value))
    usable = (ReportGroup(HeaderFields(tuple(group))) for group in groups)
    return StatusReport(
        HeaderFields(tuple(about_mail)),
        tuple(group for group in usable if group.address or group.action),
    )


def read_plain_fields(text: str) -> HeaderFields:
    """Read fields whatever stands between them, such as those of a feedback report."""
    return HeaderFields(tuple((name, value) for name, value in _fields(text) if name)[:200])


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Return name and value of each field; an empty line as a field without a name."""
    name = ""
    lines: list[str] = []
    for line in text.split("\n")[:5_000]:
        found = None if line[:1] in (" ", "\t") else _FIELD.match(line[:_LONGEST_VALUE])
        if found is not None or not line.strip():
            if name:
                yield name, " ".join(lines)[:_LONGEST_VALUE].strip()
            name, lines = "", []
            if found is None:
                yield "", ""
            else:
                name, lines = found[1].lower(), [found[2].strip()]
        elif name and sum(map(len, lines[-20:])) < _LONGEST_VALUE and len(lines) < 40:
            # Some break a long value without a blank before the next line.
            lines.append(line.strip())
    if name:
        yield name, " ".join(lines)[:_LONGEST_VALUE].strip()
