"""Tells what an SMTP reply, or the status in a bounce, is about: the one table of codes.

Never decides what to do: that depends on the step too, see `mailer.sending.smtp.verdict`. Only the code's
first digit says with certainty whether a reply is final (RFC 5321 section 4.2.1).
"""

from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What a reply is about. All but the first two come as 4yz (temporary) and as 5yz (permanent)."""

    ACCEPTED = "accepted"
    CLOSING = "closing"
    """421: the relay ends the session, whatever the command was (RFC 5321 section 3.8)."""
    NOT_AUTHENTICATED = "not_authenticated"
    """We may not send here: login or TLS is missing or wrong (RFC 4954 section 6)."""
    BAD_SENDER = "bad_sender"
    BAD_MAILBOX = "bad_mailbox"
    """The mailbox does not exist, or no longer accepts mail."""
    MAILBOX_FULL = "mailbox_full"
    TOO_BIG = "too_big"
    CONTENT = "content"
    UNSUPPORTED_EAI = "unsupported_eai"
    """The next host does not accept addresses that are not ASCII (RFC 6531 section 3.5)."""
    POLICY = "policy"
    """A rule, a filter or a reputation refused the mail; the mailbox may be fine."""
    CONGESTED = "congested"
    """Too many mails or connections at once."""
    SYSTEM = "system"
    """The receiving system, or the route to it, does not work."""
    PROTOCOL = "protocol"
    """A command was not understood."""
    OTHER = "other"
    """Only the first digit is known."""


_M = Meaning

_BY_DETAIL: Final = {
    # RFC 3463 section 3.2, and RFC 7505 section 4.2 for 1.10.
    "1.1": _M.BAD_MAILBOX,
    "1.2": _M.BAD_MAILBOX,
    "1.3": _M.BAD_MAILBOX,
    "1.6": _M.BAD_MAILBOX,
    "1.7": _M.BAD_SENDER,
    "1.8": _M.BAD_SENDER,
    "1.10": _M.BAD_MAILBOX,
    # Section 3.3.
    "2.1": _M.BAD_MAILBOX,
    "2.2": _M.MAILBOX_FULL,
    "2.3": _M.TOO_BIG,
    # Sections 3.4 and 3.5.
    "3.4": _M.TOO_BIG,
    "4.5": _M.CONGESTED,
    # RFC 6531 section 3.5.
    "6.7": _M.UNSUPPORTED_EAI,
    "6.9": _M.UNSUPPORTED_EAI,
}
_BY_SUBJECT: Final = {
    "3": _M.SYSTEM,
    "4": _M.SYSTEM,
    "5": _M.PROTOCOL,
    "6": _M.CONTENT,
    "7": _M.POLICY,
}
"""For details that are not listed; subjects 0, 1 and 2 say too little without one (RFC 3463 section 2)."""

_BY_CODE: Final = {
    # RFC 5321 section 4.2.3, for a reply without an enhanced status.
    452: _M.SYSTEM,
    455: _M.PROTOCOL,
    500: _M.PROTOCOL,
    501: _M.PROTOCOL,
    502: _M.PROTOCOL,
    503: _M.PROTOCOL,
    504: _M.PROTOCOL,
    550: _M.BAD_MAILBOX,
    551: _M.BAD_MAILBOX,
    552: _M.MAILBOX_FULL,
    553: _M.BAD_MAILBOX,
    554: _M.POLICY,
    555: _M.PROTOCOL,
    # RFC 3207 section 4.
    454: _M.NOT_AUTHENTICATED,
}
_LOGIN_CODES: Final = frozenset({432, 530, 534, 535, 538})
"""About the login, whatever their enhanced status; it is often a vague 5.7.0 (RFC 4954 section 6)."""


def meaning(code: int, enhanced: str | None) -> Meaning:
    """Tell what a reply is about.

    Args:
        code: of three digits.
        enhanced: such as "5.1.1" (RFC 3463), or None. If there is one, it decides, because 550 alone is
            used for nearly everything.
    """
    if code < 400:
        return Meaning.ACCEPTED
    if code == 421:
        return Meaning.CLOSING
    if code in _LOGIN_CODES:
        return Meaning.NOT_AUTHENTICATED
    if enhanced is None:
        return _BY_CODE.get(code, Meaning.OTHER)
    detail = enhanced.partition(".")[2]
    subject = detail.partition(".")[0]
    return _BY_DETAIL.get(detail) or _BY_SUBJECT.get(subject, Meaning.OTHER)
