"""What every test that kills a worker asks in the end: the receiver's file against the ledger."""

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


def adds_up(found: digest_state.Counts) -> bool:
    """Whether every delivery is in exactly one place."""
    return found.total == (
        found.pending + found.sent + found.failed + found.skipped + found.unknown + found.cancelled
    )


def judge(database: Database, digest_id: int, file: Path) -> Judgement:
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
        status = session.scalars(select(Digest.status).where(Digest.id == digest_id)).one()
    shown = {
        address for address, status_, doubts in rows if status_ is DeliveryStatus.UNKNOWN and doubts
    }
    doubts = {address: in_doubt for address, _, in_doubt in rows}
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
        status=status,
    )
