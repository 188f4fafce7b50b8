"""What staff see of a reader, and what is kept of people who never confirmed."""

from datetime import timedelta

from mailer.db import Database
from mailer.models import DeliveryStatus, DigestStatus, NoticeKind
from mailer.subscribers.readers import (
    consent_of,
    list_readers,
    mails_of,
    open_signups,
    subscriptions_of,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

DAY = timedelta(days=1)


def test_what_a_reader_got_and_what_they_did_not_and_why(database: Database, keys: Keys) -> None:
    with database.write() as session:
        newsletter = factories.newsletter(session)
        morning = factories.schedule(session, newsletter)
        weekly = factories.schedule(session, newsletter, "weekly")
        reader = factories.reader(session, keys, morning, confirmed_at=NOW - 5 * DAY)
        factories.reader(session, keys, morning, "other@example.com")

        def digest(days: int, schedule: object = morning, **values: object) -> object:
            due = NOW - days * DAY
            return factories.digest(session, schedule, due_at=due, **values)

        digest(6)  # Before they came.
        statuses = {4: DeliveryStatus.SENT, 3: DeliveryStatus.FAILED, 1: DeliveryStatus.CLAIMED}
        for days, status in statuses.items():
            edition = factories.edition(session, digest(days))
            reply = "550 no such user" if status is DeliveryStatus.FAILED else None
            factories.delivery(session, edition, reader, status=status, reply=reply)
        skipped = digest(2, status=DigestStatus.SKIPPED, reason="too few articles")
        skipped.subject = None
        digest(0)
        digest(2, weekly)  # For those of another schedule.
        session.flush()
        got, missed = mails_of(session, keys.key_hash("reader@example.com"))

    assert [(mail.slot, mail.status) for mail in got] == [
        ("2026-11-20T06:00", "sent"),
        ("2026-11-23T06:00", "pending"),
    ]
    assert [(mail.slot, mail.status, mail.why) for mail in missed] == [
        ("2026-11-21T06:00", "failed", "550 no such user"),
        ("2026-11-22T06:00", "none", "too few articles"),
        ("2026-11-24T06:00", "none", "nothing in it was new for them"),
    ]


def test_readers_are_listed_with_the_state_that_the_rule_gives_them(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        other = factories.schedule(session, factories.newsletter(session, "other"))
        factories.reader(session, keys, schedule, "active@example.com")
        factories.reader(session, keys, schedule, "left@example.com", left_at=NOW)
        factories.reader(session, keys, schedule, "paused@example.com", paused_at=NOW)
        factories.reader(session, keys, other, "stopped@example.com")
        factories.suppression(session, keys, "stopped@example.com")
        everybody = [(one.address, one.state) for one in list_readers(session)]
        some = [one.address for one in list_readers(session, other.newsletter_id)]
        places = subscriptions_of(session, keys.key_hash("left@example.com"))

    names = {"active": "active", "left": "left", "paused": "paused", "stopped": "suppressed"}
    assert everybody == [(f"{name}@example.com", state) for name, state in names.items()]
    assert some == ["stopped@example.com"]
    assert [(one.newsletter, one.schedule, one.left_at) for one in places] == [
        ("daily", "morning", NOW)
    ]


def test_the_consent_log_shows_the_sentence(database: Database, keys: Keys) -> None:
    with database.write() as session:
        wording = factories.wording(session, "Yes, “really”.")
        factories.consent_event(session, keys, wording_id=wording.id)
        factories.consent_event(session, keys, "other@example.com")
        (shown,) = consent_of(session, keys.key_hash("reader@example.com"))

    assert (shown.wording, shown.kind) == ("Yes, “really”.", "confirmed")
    assert shown.address == "reader@example.com"


def test_a_request_that_nobody_was_mailed_about_awaits_nothing(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        weekly = factories.schedule(session, factories.newsletter(session))
        for kind, status in (
            (NoticeKind.ALREADY, DeliveryStatus.SENT),
            (NoticeKind.CONFIRMATION, DeliveryStatus.SKIPPED),
            (NoticeKind.CONFIRMATION, DeliveryStatus.QUEUED),
        ):
            signup = factories.signup(session, keys, weekly, "new@example.com")
            factories.notice(
                session, keys, "new@example.com", signup_id=signup.id, kind=kind, status=status
            )

        assert len(open_signups(session, keys.key_hash("new@example.com"), now=NOW)) == 1
