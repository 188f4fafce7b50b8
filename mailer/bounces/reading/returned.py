"""Holds what one mail to the bounce address reports.

Never says whether the mail that it is about is ours: only the row that a reference names can tell.
"""

from dataclasses import dataclass

from mailer.bounces.reasons import BounceKind, Reason


@dataclass(frozen=True)
class ReportedRecipient:
    """What is reported about one address; strangers wrote all of it.

    Args:
        address: as reported; None if the report names none.
        action: a word of RFC 3464 section 2.3.3; None for what is no bounce.
        status: such as "5.1.1" (RFC 3463).
        diagnostic: one line, cut; it may name addresses.
        reason: of this recipient alone.
    """

    address: str | None
    action: str | None
    status: str | None
    diagnostic: str | None
    reason: Reason


@dataclass(frozen=True)
class ReturnedMail:
    """What a mail to the bounce address reports.

    Args:
        reason: the gravest among the recipients, if there are several.
        recipients: the addresses that are reported about; none for a mail by a person.
        references: candidates for the mail that it is about, such as "d12.TAG", the most trusted first.
            Forgers write them too: whether one is ours is for the ledger to say.
        unsubscribe: whether the mail is a reader's wish to leave, sent to the address for it.
    """

    reason: Reason
    recipients: tuple[ReportedRecipient, ...] = ()
    references: tuple[str, ...] = ()
    unsubscribe: bool = False

    @property
    def kind(self) -> BounceKind:
        return self.reason.kind
