"""Finds the mail that a report is about, by a reference that only we can have made.

Never trusts what a reference says: the row that it names must exist, and its tag must verify.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.models import Delivery, Digest, Notice, NoticeKind, Subscriber, Subscription
from mailer.tokens import Keys, ReferencedRow, referenced_row

MOST_REFERENCES: Final = 20
"""So many candidates of one report are looked at: a stranger may name any number."""

_AT_ONCE: Final = 500
_TO_READERS: Final = frozenset(
    {
        NoticeKind.CONFIRMATION,
        NoticeKind.ADDRESS_CHANGE,
        NoticeKind.DATA,
        NoticeKind.ERASE,
        NoticeKind.ALREADY,
        NoticeKind.PREFERENCES,
    }
)


@dataclass(frozen=True)
class SentMail:
    """A mail of ours, and who it went to.

    Attributes:
        row: its row in the ledger.
        digest_id, subscription_id: of a delivery; None for a notice.
        address, domain: the reader's; None once they are erased.
        mailed_at: when it was first tried.
        to_reader: whether it went to somebody who still is a reader, and not to staff.
    """

    row: ReferencedRow
    created_at: datetime
    digest_id: int | None
    subscription_id: int | None
    newsletter_id: int | None
    address: str | None
    domain: str | None
    key_hash: str
    mailed_at: datetime
    to_reader: bool


def find_mails(
    session: Session, candidates: Sequence[Sequence[str]], keys: Keys
) -> list[SentMail | None]:
    """Find the mail that each report is about.

    Args:
        candidates: for each report the references that may be that of the mail, the most trusted first.

    Returns:
        For each report the mail of the first reference that verifies; None if none does.
    """
    named = [
        [(text, row) for text in texts[:MOST_REFERENCES] if (row := referenced_row(text))]
        for texts in candidates
    ]
    rows = {row for texts in named for _, row in texts}
    mails = {mail.row: mail for mail in read_mails(session, rows)}
    return [
        next(
            (
                mails[row]
                for text, row in texts
                if row in mails and keys.is_reference(text, mails[row].created_at)
            ),
            None,
        )
        for texts in named
    ]


def read_mails(session: Session, rows: Collection[ReferencedRow]) -> list[SentMail]:
    """Read these rows of the ledger, as far as they exist; a row of a purged digest does not any more."""
    mails: list[SentMail] = []
    for table, read in ((Delivery, _deliveries), (Notice, _notices)):
        ids = sorted(row.row_id for row in rows if row.table == table.__tablename__)
        for start in range(0, len(ids), _AT_ONCE):
            mails += read(session, ids[start : start + _AT_ONCE])
    return mails


def _deliveries(session: Session, ids: Sequence[int]) -> Iterator[SentMail]:
    statement = (
        select(
            Delivery.id,
            Delivery.created_at,
            Delivery.first_attempt_at,
            Delivery.digest_id,
            Delivery.subscription_id,
            Subscription.newsletter_id,
            Subscriber.address,
            Subscriber.address_key,
            Subscriber.key_hash,
            Subscriber.erased_at,
        )
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .join(Digest, Digest.id == Delivery.digest_id)
        .where(Delivery.id.in_(ids), Digest.purged_at.is_(None))
    )
    for row in session.execute(statement):
        is_erased = row.erased_at is not None
        yield SentMail(
            row=ReferencedRow(Delivery.__tablename__, row.id),
            created_at=row.created_at,
            digest_id=row.digest_id,
            subscription_id=row.subscription_id,
            newsletter_id=row.newsletter_id,
            address=None if is_erased else row.address,
            domain=None if is_erased else _domain(row.address_key),
            key_hash=row.key_hash,
            mailed_at=row.first_attempt_at or row.created_at,
            to_reader=not is_erased,
        )


def _notices(session: Session, ids: Sequence[int]) -> Iterator[SentMail]:
    statement = select(
        Notice.id,
        Notice.kind,
        Notice.created_at,
        Notice.first_attempt_at,
        Notice.newsletter_id,
        Notice.address,
        Notice.key_hash,
    ).where(Notice.id.in_(ids))
    for row in session.execute(statement):
        yield SentMail(
            row=ReferencedRow(Notice.__tablename__, row.id),
            created_at=row.created_at,
            digest_id=None,
            subscription_id=None,
            newsletter_id=row.newsletter_id,
            # Empty once they are erased.
            address=row.address or None,
            domain=_domain(row.address) or None,
            key_hash=row.key_hash,
            mailed_at=row.first_attempt_at or row.created_at,
            to_reader=row.kind in _TO_READERS and row.address != "",
        )


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
