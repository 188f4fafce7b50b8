"""Reads bounces that have no report: what went wrong stands in a text for people.

Never trusts one sign alone: a mail by a person may say "user unknown" too.
"""

from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from mailer.bounces.reading.diagnosis import find_numbers, reason_in
from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.mime import ReadMail
from mailer.bounces.reading.tables.machine_mails import DELAYS, FAILURE_SUBJECTS, FAILURES, FINAL
from mailer.bounces.reading.tables.phrases import folded
from mailer.bounces.reading.tables.report_lines import MARKERS
from mailer.bounces.reasons import Reason

_MOST_LINES: Final = 800
_LONGEST_HEAD: Final = 6_000
_LONGEST_BRIEF: Final = 1_000
_LONGEST_MARKER: Final = 200
_DAEMONS: Final = (
    "mailer-daemon", "mailerdaemon", "mail-daemon", "maildaemon", "mailer_daemon", "postmaster",
    "mail delivery", "mail-delivery", "mail.delivery", "delivery subsystem", "delivery system",
    "delivery service", "mailsystem", "mail system", "mail_system", "mail administrator",
    "mailadmin", "system administrator", "systemadministrator", "microsoftexchange", "mdaemon",
    "administrador do sistema", "administrateur syst", "administrador del sistema", "smtp32",
    "mailmaster", "post_master", "microsoft outlook", "mail transport", "mail router", "mail server",
    "e500_smtp", "mailserver", "smtpd", "mailgateway", "bounce@", "bounces@", "mail-service",
)  # fmt: skip


@dataclass(frozen=True)
class BounceText:
    """The text of a mail for people, without the mail that is returned in it."""

    shown: str
    returned: str


def read_text(mail: ReadMail) -> BounceText:
    """Return what a mail says to people."""
    texts = [
        part
        for part in mail.parts
        if part.content_type.startswith("text/") and not part.is_returned and part.mail is None
    ]
    shown = [part for part in texts if part.content_type != "text/html"] or texts
    whole = "\n".join(part.text() for part in shown[:5])
    if not whole.strip() and texts:
        whole = "\n".join(part.text() for part in texts[:5])
    return _divide(whole)


def is_by_daemon(fields: HeaderFields) -> bool:
    """Tell whether the mail system of a host wrote a mail, by who it is from."""
    sender = fields.text("from").lower()
    # A person has an address.
    nobody = "from" in fields and sender.strip() in ("", "<>")
    return nobody or any(name in sender for name in _DAEMONS) or "x-failed-recipients" in fields


def _has_empty_path(fields: HeaderFields) -> bool:
    """Tell whether nobody may answer a mail, as with bounces and most automatic replies."""
    path = fields.get("return-path").strip().lower()
    return path.startswith("<>") or "mailer-daemon" in path


def is_failure(mail: ReadMail, body: BounceText) -> bool:
    """Tell whether a mail reports that one of ours failed."""
    if "x-failed-recipients" in mail.fields or _is_notification(mail, body):
        return True
    subject = folded(mail.fields.text("subject"), 500)
    says_so = FAILURE_SUBJECTS.found_in(subject)
    fails = FAILURES.found_in(folded(body.shown, _LONGEST_HEAD))
    code, status = find_numbers(body.shown[:_LONGEST_HEAD])
    if is_by_daemon(mail.fields) or mail.parameters.get("report-type") == "delivery-status":
        reason = reason_in(body.shown)
        return says_so or fails or status is not None or reason in _ABOUT_MAILBOX
    has_number = code is not None or status is not None
    if subject.startswith(_ANSWERS):
        # People answer such mails, too.
        is_answer = "in-reply-to" in mail.fields or "references" in mail.fields
        return says_so and fails and not is_answer and len(body.shown) < _LONGEST_BRIEF
    if says_so:
        return fails or has_number
    return _has_empty_path(mail.fields) and fails and has_number


def _is_notification(mail: ReadMail, body: BounceText) -> bool:
    """Tell whether it is a provider's notification of a bounce, which was sent on by mail."""
    begin = body.shown.lstrip()[:100].replace(" ", "")
    return "x-amz-sns-message-id" in mail.fields and '"notificationType":"Bounce"' in begin


_ANSWERS: Final = (" re: ", " fwd: ", " fw: ", " aw: ", " wg: ", " tr: ", " rv: ", " res: ")
_ABOUT_MAILBOX: Final = frozenset(
    {Reason.USER_UNKNOWN, Reason.MAILBOX_FULL, Reason.SUSPENDED, Reason.MOVED, Reason.NOT_ACCEPTING}
)


def is_delay(mail: ReadMail, body: BounceText) -> bool:
    """Tell whether a mail only warns that one of ours is still on its way."""
    subject = folded(mail.fields.text("subject"), 500)
    text = folded(body.shown, _LONGEST_HEAD)
    if DELAYS.found_in(subject):
        return not FINAL.found_in(subject)
    return DELAYS.found_in(text) and not FINAL.found_in(text)


_FIELD_NAMES: Final = frozenset(
    {"received", "return-path", "message-id", "mime-version", "date", "from", "to", "subject",
     "content-type", "reply-to", "sender", "x-mailer", "dkim-signature", "delivered-to", "list-id",
     "list-unsubscribe"}
)  # fmt: skip
_SURE_NAMES: Final = frozenset(
    {"received", "return-path", "message-id", "mime-version", "dkim-signature"}
)


def _divide(text: str) -> BounceText:
    """Separate what a text says from the mail that it returns."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:_MOST_LINES]):
        if not line.strip():
            continue
        if _is_marker(line) and number:
            return BounceText("\n".join(lines[:number]), "\n".join(lines[number + 1 :]))
        if number and _begins_header(lines[number : number + 12]):
            return BounceText("\n".join(lines[:number]), "\n".join(lines[number:]))
    return BounceText(text, "")


def _is_marker(line: str) -> bool:
    return len(line) < _LONGEST_MARKER and MARKERS.found_in(folded(line))


def _begins_header(lines: list[str]) -> bool:
    first = _field_name(lines[0])
    if first not in _FIELD_NAMES:
        return False
    block = takewhile(str.strip, lines)
    names = {_field_name(line) for line in block} & _FIELD_NAMES
    return len(names) >= 3 and bool(names & _SURE_NAMES)


def _field_name(line: str) -> str:
    name, colon, _ = line.partition(":")
    return name.strip("> \t").lower() if colon else ""
