"""Says why mails come back, and which of the reasons speak against a reader. Pure.

Never reads a mail: `mailer.bounces.reading` and `mailer.bounces.providers` do, and give one of these reasons.
"""

from enum import StrEnum
from typing import Final


class BounceKind(StrEnum):
    """What came back."""

    HARD = "hard"
    """The mail failed, and every later one would."""
    SOFT = "soft"
    """The mail failed, and a later one may not."""
    COMPLAINT = "complaint"
    """The reader reported the mail as spam."""
    AUTOREPLY = "autoreply"
    """A machine answered for a reader whose mailbox took the mail."""
    NONE = "none"
    """Nothing that failed: a delay, a mail by a person, or what a complaint takes back."""


class Reason(StrEnum):
    """Why a mail came back; docs/bounces.md explains each of them."""

    USER_UNKNOWN = "user_unknown"
    HOST_UNKNOWN = "host_unknown"
    MOVED = "moved"
    NOT_ACCEPTING = "not_accepting"
    """The host or the mailbox takes no mail from anybody, for good (RFC 7504, RFC 7505)."""

    MAILBOX_FULL = "mailbox_full"
    SUSPENDED = "suspended"
    """The mailbox exists, but is switched off for the time being."""
    REFUSED = "refused"
    """The host says that it does not know the user, but perhaps only because a filter refused the mail."""
    BLOCKED = "blocked"
    """The sending host or domain has a bad reputation there."""
    SPAM = "spam"
    VIRUS = "virus"
    POLICY = "policy"
    """A rule of the receiving site refused the mail."""
    AUTHENTICATION = "authentication"
    """SPF, DKIM, DMARC or the host's name did not satisfy the receiver."""
    SIZE = "size"
    CONTENT = "content"
    """The mail's form was refused, such as a header."""
    EXPIRED = "expired"
    """The receiving host did not take the mail in all the time that the relay tried."""
    CONGESTED = "congested"
    SYSTEM = "system"
    """The receiving host, or the route to it, does not work."""
    LOOP = "loop"
    RELAYING = "relaying"
    """The receiving host does not feel responsible for the address."""
    UNSUPPORTED = "unsupported"
    """The receiving host cannot handle addresses that are not ASCII."""
    PROTOCOL = "protocol"
    """A command or its arguments were not understood."""
    OTHER = "other"
    """It failed, and what was said does not tell why."""

    ABUSE = "abuse"
    FRAUD = "fraud"
    VIRUS_REPORT = "virus_report"
    OPT_OUT = "opt_out"
    """The reader asked the provider to be taken off the list."""
    OTHER_COMPLAINT = "other_complaint"

    VACATION = "vacation"
    AUTOMATIC = "automatic"
    """Any other automatic reply."""
    CHALLENGE = "challenge"
    """The sender shall prove to be a person, before a mail is delivered."""
    RECEIPT = "receipt"
    """The mail was displayed, deleted or delivered (RFC 8098, or "Action: delivered")."""

    DELAYED = "delayed"
    NOT_SPAM = "not_spam"
    """A reader says that a mail is no spam (RFC 5965)."""
    AUTHENTICATION_REPORT = "authentication_report"
    """A receiver reports that a mail in our name was not authentic (RFC 6591)."""
    ORDINARY = "ordinary"
    """A mail as people or lists write it."""

    @property
    def kind(self) -> BounceKind:
        """What comes back for this reason."""
        return KINDS[self]


_R = Reason

_BY_KIND: Final = {
    BounceKind.HARD: (_R.USER_UNKNOWN, _R.HOST_UNKNOWN, _R.MOVED, _R.NOT_ACCEPTING),
    BounceKind.SOFT: (
        *(_R.MAILBOX_FULL, _R.SUSPENDED, _R.REFUSED, _R.BLOCKED, _R.SPAM, _R.VIRUS, _R.POLICY),
        *(_R.AUTHENTICATION, _R.SIZE, _R.CONTENT, _R.EXPIRED, _R.CONGESTED, _R.SYSTEM),
        *(_R.LOOP, _R.RELAYING, _R.UNSUPPORTED, _R.PROTOCOL, _R.OTHER),
    ),
    BounceKind.COMPLAINT: (_R.ABUSE, _R.FRAUD, _R.VIRUS_REPORT, _R.OPT_OUT, _R.OTHER_COMPLAINT),
    BounceKind.AUTOREPLY: (_R.VACATION, _R.AUTOMATIC, _R.CHALLENGE, _R.RECEIPT),
    BounceKind.NONE: (_R.DELAYED, _R.NOT_SPAM, _R.AUTHENTICATION_REPORT, _R.ORDINARY),
}
KINDS: Final = {reason: kind for kind, reasons in _BY_KIND.items() for reason in reasons}

AGAINST_READER: Final = frozenset(
    {
        *_BY_KIND[BounceKind.HARD],
        *_BY_KIND[BounceKind.COMPLAINT],
        *(_R.MAILBOX_FULL, _R.SUSPENDED, _R.REFUSED, _R.EXPIRED, _R.LOOP, _R.OTHER),
    }
)
"""What says something about the reader's mailbox. The others are about the mail, the sender or the hosts:
they never count against a reader, however often they come."""
