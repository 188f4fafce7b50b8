"""Judges what every test that kills a worker asks in the end: the receiver's file against the ledger."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from mailer.db import Database
from mailer.ledger import digest_state
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Subscriber
from tests.support.processes import accepted


@dataclass(frozen=True)
class Judgement:
    """The receiver's file alone says who got how many copies; the ledger must have said so."""

    lost: set[str]
    doubles: int
    doubled_without_doubt: set[str]
    strangers: set[str]
    ids_per_delivery: int
    counts: digest_state.Counts
    status: DigestStatus

    @property
    def adds_up(self) -> bool:
        return adds_up(self.counts)

    def nobody_is_lost(self, doubles: int = 0) -> None:
        """Everybody has a copy, or two of a mail that was counted as in doubt, and all adds up."""
        assert self.lost == set()
        assert self.strangers == set()
        assert self.doubles <= doubles
        assert self.doubled_without_doubt == set()
        assert self.ids_per_delivery <= 1
        assert self.adds_up

    def everybody_got_one(self, readers: int) -> None:
        """Everybody has one copy, nothing was in doubt, and the digest is sent."""
        self.nobody_is_lost()
        assert (self.counts.total, self.counts.sent) == (readers, readers)
        assert self.counts.in_doubt == 0
        assert self.status is DigestStatus.SENT


def adds_up(counts: digest_state.Counts) -> bool:
    """Whether every delivery is in exactly one place."""
    places = (counts.pending, counts.sent, counts.failed, counts.skipped, counts.unknown)
    return counts.total == sum(places) + counts.cancelled


def judge(database: Database, digest_id: int, file: Path) -> Judgement:
    """Compare what the receiver wrote to its file with the deliveries of a digest."""
    # A confirmation is no copy of the digest, which every digest's mail names.
    lines = [line for line in accepted(file) if line["digest"] is not None]
    copies = Counter(line["to"] for line in lines)
    with database.read() as session:
        rows = session.execute(
            select(Subscriber.address, Delivery.status, Delivery.in_doubt)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .where(Delivery.digest_id == digest_id)
        ).all()
        counts = digest_state.counts(session, digest_id)
        digest_status = session.get_one(Digest, digest_id).status
    doubts = {address: in_doubt for address, _, in_doubt in rows}
    shown = {
        address
        for address, status, in_doubt in rows
        if status is DeliveryStatus.UNKNOWN and in_doubt
    }
    ids: dict[str, set[str]] = {}
    for line in lines:
        ids.setdefault(line["delivery"], set()).add(line["message_id"])
    return Judgement(
        lost={address for address in doubts if address not in copies} - shown,
        doubles=sum(number - 1 for number in copies.values()),
        doubled_without_doubt={
            address for address, number in copies.items() if number - 1 > doubts.get(address, 0)
        },
        strangers=copies.keys() - doubts.keys(),
        ids_per_delivery=max(map(len, ids.values()), default=0),
        counts=counts,
        status=digest_status,
    )
