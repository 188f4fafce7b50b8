"""Finds in a bounce's text for people which addresses it is about, and what it says about each.

Never looks into the mail that was returned, unless the text names nobody.
"""

from dataclasses import dataclass
from typing import Final

from mailer.bounces.reading.addresses import find_addresses, first_address
from mailer.bounces.reading.bounce_text import BounceText
from mailer.bounces.reading.diagnosis import find_numbers, judge_report, reason_in
from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.mime import ReadMail
from mailer.bounces.reading.tables.phrases import folded
from mailer.bounces.reading.tables.report_lines import INTRODUCTIONS, LABELS, NOT_ABOUT
from mailer.bounces.reasons import Reason

_MOST_LINES: Final = 400
_MOST_ADDRESSES: Final = 200
_LONGEST_TEXT: Final = 20_000
_LONGEST_LINE: Final = 1_000


@dataclass(frozen=True)
class FailedAddress:
    """An address that a mail is about, and the lines that tell why."""

    address: str
    text: str


def failed_addresses(mail: ReadMail, body: BounceText) -> list[FailedAddress]:
    """Return the addresses that a bounce is about, each with the text about it."""
    named = [
        address
        for value in mail.fields.every("x-failed-recipients")
        for _, address in find_addresses(value)
    ]
    lines = _lines(body.shown)
    if named:
        return [FailedAddress(address, _text_about(address, lines)) for address in _once(named)]
    lines = _behind_introduction(lines)
    fields = mail.fields
    ranked = _rank(lines, _addresses_in(fields, "to", "from", "sender", "return-path", "reply-to"))
    # Some mail systems report in the name of the recipient.
    ranked = ranked or _rank(lines, _addresses_in(fields, "to"))
    best = max((rank for _, _, rank in ranked), default=0)
    chosen = [(at, address) for at, address, rank in ranked if rank == best and rank >= _LEAST_RANK]
    if chosen:
        return _with_texts(chosen, lines)
    names = _bare_names(lines, first_address(mail.fields.text("from")) or "")
    if names:
        return [FailedAddress(name, body.shown) for name in names]
    if len({address.lower() for _, address, _ in ranked}) == 1:
        return _with_texts([(ranked[0][0], ranked[0][1])], lines)
    returned = _returned_recipient(mail, body)
    return [FailedAddress(returned, body.shown)] if returned else []


def reason_for(failed: FailedAddress, body: BounceText) -> Reason:
    """Tell why the mail to an address failed."""
    status = find_numbers(failed.text)[1] or find_numbers(body.shown)[1]
    return judge_report(status, failed.text, body.shown)


_LONGEST_SAID: Final = 300
_LEAST_RANK: Final = 3
_COMMANDS: Final = ("rcpt to", "rcpt:")


def _lines(text: str) -> list[str]:
    return [line[:_LONGEST_LINE] for line in text[:_LONGEST_TEXT].split("\n")[:_MOST_LINES]]


def _once(addresses: list[str]) -> list[str]:
    return list({address.lower(): address for address in reversed(addresses)}.values())[::-1]


def _addresses_in(fields: HeaderFields, *names: str) -> set[str]:
    values = fields.every(*names)
    return {address.lower() for value in values for _, address in find_addresses(value)}


def _behind_introduction(lines: list[str]) -> list[str]:
    """Leave out what stands before "the following recipients", such as whom the mail was written to."""
    for number, line in enumerate(lines):
        if INTRODUCTIONS.found_in(folded(line, 300)):
            rest = lines[number:]
            return rest if any("@" in one for one in rest) else lines
    return lines


def _rank(lines: list[str], ours: set[str]) -> list[tuple[int, str, int]]:
    """Return each address with its line and how likely the bounce is about it."""
    ranked: list[tuple[int, str, int]] = []
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        for at, address in find_addresses(line):
            lower = address.lower()
            if lower in ours or lower.startswith(_SERVICE):
                continue
            ranked.append((number, address, _rank_of(line, at, address)))
            if len(ranked) >= _MOST_ADDRESSES:
                return ranked
    return ranked


_SERVICE: Final = (
    "postmaster@",
    "mailer-daemon@",
    "abuse@",
    "support@",
    "helpdesk@",
    "hostmaster@",
    "noreply@",
)


def _rank_of(line: str, at: int, address: str) -> int:
    lower = line.lower()
    before = folded(lower[max(0, at - 80) : at], 100)
    if any(command in before for command in _COMMANDS):
        return 9
    bare = lower.strip(" \t<>()[]{}*-|.,;:\"'!=")
    alone = bare == address.lower() or bare in (
        f"smtp:{address.lower()}",
        f"rfc822;{address.lower()}",
    )
    leads = not lower[:at].strip(" \t<([{*-|\"'>.") and lower[at + len(address) :].lstrip(
        "> \t)]\"'"
    ).startswith((":", "...", ";", "(", "-", ","))
    if NOT_ABOUT.found_in(before):
        return 1
    if alone or leads:
        return 8
    if LABELS.found_in(before):
        return 6
    if not lower[:at].strip(" \t<([{*-|\"'>"):
        return 5
    return 4 if reason_in(line[:_LONGEST_SAID]) is not None else 2


def _bare_names(lines: list[str], sender: str) -> list[str]:
    """Return the mailboxes that a provider names without its domain, below "the following recipients"."""
    domain = sender.rpartition("@")[2]
    names: list[str] = []
    if not domain or not lines or not INTRODUCTIONS.found_in(folded(lines[0], 300)):
        return names
    for line in lines[1:20]:
        name = line.strip()
        if name and (name.isascii() and name.replace(".", "").replace("_", "").isalnum()):
            names.append(f"{name}@{domain}")
        elif name and (names or "@" not in line):
            break
    return names


def _with_texts(chosen: list[tuple[int, str]], lines: list[str]) -> list[FailedAddress]:
    first: dict[str, tuple[int, str]] = {}
    for number, address in chosen:
        first.setdefault(address.lower(), (number, address))
    places = [*first.values()]
    starts = sorted({number for number, _ in chosen})
    failed = []
    for number, address in places:
        later = next((start for start in starts if start > number), len(lines))
        text = "\n".join(lines[number:later])
        failed.append(FailedAddress(address, text))
        failed += [FailedAddress(one, text) for one in _expanded_from(lines[number + 1 : later])]
    return failed


def _expanded_from(lines: list[str]) -> list[str]:
    """Return what an alias was before the host looked it up: that is whom we mailed."""
    first = lines[0].lower() if lines else ""
    if "expanded from" in first or "generated from" in first:
        return [address for _, address in find_addresses(lines[0])][:1]
    return []


def _text_about(address: str, lines: list[str]) -> str:
    for number, line in enumerate(lines):
        if address.lower() in line.lower():
            return "\n".join(lines[number:])
    return "\n".join(lines)


def _returned_recipient(mail: ReadMail, body: BounceText) -> str | None:
    """Return who the returned mail was to: ours have one recipient."""
    for part in mail.parts:
        if part.mail is not None:
            return first_address(part.mail.get("to"))
    for line in body.returned.split("\n")[:100]:
        if line.lower().startswith("to:"):
            return first_address(line)
    return None
