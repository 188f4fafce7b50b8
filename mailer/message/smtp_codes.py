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


class StatusDetail(StrEnum):
    """What the status in a bounce tells beyond its meaning; sending makes no difference between these."""

    BAD_HOST = "bad_host"
    MOVED = "moved"
    NO_MAIL = "no_mail"
    """The host, or the domain, accepts mail for nobody."""
    SWITCHED_OFF = "switched_off"
    UNREACHABLE = "unreachable"
    LOOP = "loop"
    NOT_AUTHENTIC = "not_authentic"
    """SPF, DKIM, DMARC or the name of the sending host did not convince the receiver."""


_F = StatusDetail

_STATUS_DETAILS: Final = {
    # RFC 3463 sections 3.2, 3.3 and 3.5.
    "1.2": _F.BAD_HOST,
    "1.6": _F.MOVED,
    "2.1": _F.SWITCHED_OFF,
    "4.1": _F.UNREACHABLE,
    "4.2": _F.UNREACHABLE,
    "4.3": _F.UNREACHABLE,
    "4.4": _F.BAD_HOST,
    "4.6": _F.LOOP,
    "4.7": _F.UNREACHABLE,
    # RFC 7505 section 4, RFC 5248 and RFC 7293 section 14.
    "1.10": _F.NO_MAIL,
    "7.13": _F.SWITCHED_OFF,
    "7.17": _F.MOVED,
    "7.18": _F.MOVED,
    # RFC 7372 section 3; the last four are those of a large provider.
    **dict.fromkeys(("7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26"), _F.NOT_AUTHENTIC),
    **dict.fromkeys(("7.9", "7.27", "7.32", "7.509", "7.515"), _F.NOT_AUTHENTIC),
    # That provider's word for a domain that does not exist.
    "4.310": _F.BAD_HOST,
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


def status_detail(enhanced: str) -> StatusDetail | None:
    """Return what a status such as "5.1.2" tells beyond its meaning, if it does."""
    return _STATUS_DETAILS.get(enhanced.partition(".")[2])
