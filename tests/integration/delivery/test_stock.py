"""The turn in which something is paused: nothing of it starts, and what is claimed stays as it is."""

import pytest
from sqlalchemy import select

from mailer.clock import Times
from mailer.db import Database
from mailer.delivery.mail import Composer
from mailer.delivery.outcome import OnDelivery, Verdict
from mailer.delivery.pulse import Pulse
from mailer.delivery.restraint import Restraint
from mailer.delivery.stock import Stock
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus
from mailer.tokens import Keys
from tests.sending import alerts, build

CONNECTIONS = 2
IN_DOUBT = Verdict(OnDelivery.DOUBT)


@pytest.mark.timeout(60)
def test_nothing_starts_in_the_turn_that_pauses_its_digest(
    database: Database, keys: Keys, composer: Composer
) -> None:
    digest_id = build(database, keys, 3)
    restraint = Restraint(CONNECTIONS, lambda: 0.5)
    pulse = Pulse(
        database,
        Times(),
        host="here",
        pid=1,
        lease_seconds=60,
        resend=True,
        on_recovery=lambda: None,
    )
    pulse.start()
    stock = Stock(
        database,
        composer,
        pulse,
        Times(),
        restraint=restraint,
        begun=list,
        rate=None,
        alerts=alerts(keys),
    )
    assert stock.settle((), claiming=True) == frozenset()
    first, second = stock.take().claim.row, stock.take().claim.row
    assert stock.settle([first], claiming=False) == frozenset({first})
    for _ in range(2 * CONNECTIONS):
        restraint.count(IN_DOUBT, digest_id, "the connection was lost", 0.0)
    assert stock.settle([second], claiming=False) == frozenset()
    with database.read() as session:
        assert session.scalars(select(Digest.status)).one() is DigestStatus.PAUSED
        assert session.get_one(Delivery, first.id).status is DeliveryStatus.SENDING
        assert session.get_one(Delivery, second.id).status is DeliveryStatus.CLAIMED
    # A turn later it is the digest's own state that holds it.
    assert stock.settle([second], claiming=False) == frozenset()
    stock.close()
    pulse.stop(close=True)
