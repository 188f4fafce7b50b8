"""Decides why one recipient's mail failed, from the status, the reply and the text of a report.

Never looks at whole mails: others find what was said about which recipient.
"""

import re
from typing import Final

from mailer.bounces.reading.tables.filters import EXCEPTIONS, FIRST, LAST
from mailer.bounces.reading.tables.phrases import folded, phrases
from mailer.bounces.reading.tables.refusals import REFUSALS
from mailer.bounces.reasons import BounceKind, Reason
from mailer.message.smtp_codes import Meaning, StatusDetail, meaning, status_detail

_STATUS: Final = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_CODE: Final = re.compile(r"(?<![\w.:/@-])([45][0-7]\d)(?=[- \t;:,#)]|$)")
_LONGEST_TEXT: Final = 4_000

_MAILBOX_FIRST: Final = (Reason.NOT_ACCEPTING, Reason.MOVED, Reason.MAILBOX_FULL)
_ORDER: Final = (
    *EXCEPTIONS,
    *(entry for entry in REFUSALS if entry[0] in _MAILBOX_FIRST),
    *FIRST,
    *(entry for entry in REFUSALS if entry[0] not in _MAILBOX_FIRST),
    *LAST,
)
_PASSING: Final = phrases("""
    mailbox unavailable
    mailbox is unavailable
    mailbox not available
    not available
    mailbox busy
    unverified
    verification
    verify
    temporar
    try again
    try later
    deferred
""")
"""What is said with a temporary status, and does not say that an address is wrong for good."""

_AFTER_DATA: Final = (
    "end of data", "data command", "in reply to data", ">>> data", "after data", "(data)", "final data",
    "smtp command data", "command: data", "550 : user unknown", "(state 15)", "(state 17)", "(state 18)",
)  # fmt: skip

_AT_RCPT: Final = phrases("""
    rcpt
    recipient address rejected
    valid recipients
    requested action not taken
    not like recipient
    (state 14)
    doesn't have a * account
    delivery error: dd
    email account that you tried to reach
""")
"""What servers say while they are told the recipient, or what reports say of that moment."""

_ADDRESS_FIRST: Final = re.compile(r"[45][0-7]\d[ -]<[^<>\s]{1,254}>(?::|\.\.\.)")

_BY_MEANING: Final = {
    Meaning.BAD_MAILBOX: Reason.USER_UNKNOWN,
    Meaning.BAD_SENDER: Reason.POLICY,
    Meaning.MAILBOX_FULL: Reason.MAILBOX_FULL,
    Meaning.TOO_BIG: Reason.SIZE,
    Meaning.CONTENT: Reason.CONTENT,
    Meaning.UNSUPPORTED_EAI: Reason.UNSUPPORTED,
    Meaning.POLICY: Reason.POLICY,
    Meaning.CONGESTED: Reason.CONGESTED,
    Meaning.CLOSING: Reason.CONGESTED,
    Meaning.SYSTEM: Reason.SYSTEM,
    Meaning.PROTOCOL: Reason.PROTOCOL,
    Meaning.NOT_AUTHENTICATED: Reason.AUTHENTICATION,
}
_BY_DETAIL: Final = {
    StatusDetail.BAD_HOST: Reason.HOST_UNKNOWN,
    StatusDetail.MOVED: Reason.MOVED,
    StatusDetail.NO_MAIL: Reason.NOT_ACCEPTING,
    StatusDetail.SWITCHED_OFF: Reason.SUSPENDED,
    StatusDetail.UNREACHABLE: Reason.EXPIRED,
    StatusDetail.LOOP: Reason.LOOP,
    StatusDetail.NOT_AUTHENTIC: Reason.AUTHENTICATION,
}
_VAGUE_SUBJECTS: Final = frozenset({"0", "3", "4", "5", "7"})
"""In "5.4.0" and "5.7.0" the last number says nothing; 5.0.0 is written when nothing is known."""


def diagnose(status: str | None, said: str, context: str) -> Reason:
    """Tell why a mail failed for one recipient.

    Words are more precise than numbers: many servers say 5.1.1 of a full mailbox, and 5.7.1 of an
    unknown user.

    Args:
        status: of the report, such as "5.1.1".
        said: the reply that was reported; empty if there is none.
        context: what the report says to people about this recipient; may be empty.
    """
    said = said[:_LONGEST_TEXT]
    numbers = find_numbers(said)
    enhanced = numbers[1] or status
    if numbers[1] and status and not _is_specific(numbers[1]) and _is_specific(status):
        enhanced = status
    is_passing = _is_temporary(enhanced, numbers[0])
    reason = reason_in(said)
    if reason is None and enhanced is not None and _is_specific(enhanced):
        reason = _by_status(enhanced)
    if reason is None:
        said = f"{said} {context}"
        reason = reason_in(context)
    if reason is None:
        reason = _by_numbers(numbers[0] or find_numbers(context)[0], enhanced, said)
    if reason is Reason.USER_UNKNOWN and _is_after_data(f"{said} {context}", enhanced):
        return Reason.REFUSED
    if is_passing and reason.kind is BounceKind.HARD:
        text = folded(said, _LONGEST_TEXT)
        is_sure = reason in (Reason.USER_UNKNOWN, Reason.MOVED) and not _PASSING.found_in(text)
        if not is_sure or _reason_in_folded(text) is not reason:
            # A host may be known tomorrow, and what the sender tries for days is no longer temporary.
            return Reason.EXPIRED
    return reason


def judge_report(status: str | None, said: str, context: str) -> Reason:
    """Do the same for a report in which it may be left open at which command the server said that.

    Filters refuse whole mails in the words "user unknown", too. So those words make a bounce hard only
    if a status tells the same, if they answered RCPT, or if no server's code stands beside them.
    """
    reason = diagnose(status, said, context)
    code, enhanced = find_numbers(said[:_LONGEST_TEXT])
    shown = find_numbers(context[:_LONGEST_TEXT])
    is_exact = any(number is not None and _is_specific(number) for number in (enhanced, status))
    if reason is not Reason.USER_UNKNOWN or is_exact or (code or shown[0]) is None:
        return reason
    text = f"{said[:_LONGEST_TEXT]} {context[:_LONGEST_TEXT]}"
    is_at_rcpt = _AT_RCPT.found_in(folded(text, 2 * _LONGEST_TEXT)) or _ADDRESS_FIRST.search(text)
    return reason if is_at_rcpt else Reason.REFUSED


def reason_in(text: str) -> Reason | None:
    """Return the reason that a text tells, or None."""
    return _reason_in_folded(folded(text, _LONGEST_TEXT)) if text else None


def _reason_in_folded(text: str) -> Reason | None:
    return next((reason for reason, known in _ORDER if known.found_in(text)), None)


def reason_of_numbers(code: int, enhanced: str | None) -> Reason | None:
    """Return the reason that `mailer.message.smtp_codes` has for an SMTP code and a status, or None."""
    detail = status_detail(enhanced) if enhanced else None
    return _BY_MEANING.get(meaning(code, enhanced)) if detail is None else _BY_DETAIL[detail]


def find_numbers(text: str) -> tuple[int | None, str | None]:
    """Return the first SMTP code and the first status in a text."""
    code = _CODE.search(text)
    status = _STATUS.search(text)
    return (int(code[1]) if code else None), (status[0] if status else None)


def _is_specific(enhanced: str) -> bool:
    _, subject, detail = enhanced.split(".")
    return not (subject == "0" or (detail == "0" and subject in _VAGUE_SUBJECTS) or detail == "0")


def _is_temporary(enhanced: str | None, code: int | None) -> bool:
    first = {str(number)[0] for number in (enhanced, code) if number is not None}
    return first == {"4"}


def _by_status(enhanced: str) -> Reason | None:
    return reason_of_numbers(400 if enhanced.startswith("4") else 500, enhanced)


def _by_numbers(code: int | None, enhanced: str | None, said: str) -> Reason:
    """Tell what the numbers say when no word was understood."""
    if enhanced is not None and not enhanced.startswith("5.0."):
        reason = Reason.USER_UNKNOWN if enhanced == "5.1.0" else _by_status(enhanced)
        if reason is not None:
            return reason
    if code is None:
        is_temporary = enhanced is not None and enhanced.startswith("4")
        return Reason.EXPIRED if is_temporary else Reason.OTHER
    reason = reason_of_numbers(code, None) or Reason.OTHER
    if reason is Reason.USER_UNKNOWN and not _is_answer_to_rcpt(said):
        # 550 is used for nearly everything.
        return Reason.OTHER
    return reason


def _is_answer_to_rcpt(said: str) -> bool:
    return "rcpt" in said.lower() or not any(letter.isalpha() for letter in said)


def _is_after_data(said: str, enhanced: str | None) -> bool:
    """Tell whether the recipient had been accepted: then a filter refused the mail, whatever it calls that.

    Some servers do look the recipient up that late, and say so by an exact status.
    """
    if enhanced is not None and enhanced.startswith("5.1."):
        return False
    text = " ".join(said.lower().split())
    # Where commands are sent ahead of answers, an answer to RCPT stands behind DATA, and DATA fails, too.
    is_about_rcpt = "rcpt" in text or "valid recipients" in text
    return any(words in text for words in _AFTER_DATA) and not is_about_rcpt
