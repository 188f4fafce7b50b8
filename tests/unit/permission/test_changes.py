"""Leaving, suppressing and the consent log: what is written, and that doing it again changes nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Subscription,
    Suppression,
    SuppressionReason,
    Wording,
)
from mailer.permission.consent import NewConsentEvent, Origin, record, wording_id
from mailer.permission.leave import leave
from mailer.permission.suppress import SuppressionView, lift, list_suppressions, suppress
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import report, sent_digest
from tests.support.factories import NOW

LATER = NOW + timedelta(days=1)


def test_leaving_is_recorded_once(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        subscription = factories.reader(session, keys, schedule)
        page, command = Origin("/unsubscribe", NOW, "192.0.2.1"), Origin("command", LATER)
        first = leave(session, subscription, page, reason="reader")
        second = leave(session, subscription, command, reason="staff")

    assert (first, second) == (True, False)
    with database.read() as session:
        left = session.scalars(select(Subscription)).one()
        event = session.scalars(select(ConsentEvent)).one()
    assert (left.left_at, left.left_reason) == (NOW, "reader")
    assert (event.kind, event.at, event.ip) == (ConsentKind.UNSUBSCRIBED, NOW, "192.0.2.1")
    assert event.address == "reader@example.com"


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (SuppressionReason.STAFF, SuppressionReason.COMPLAINED, SuppressionReason.STAFF),
        (SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED, SuppressionReason.COMPLAINED),
        (SuppressionReason.BOUNCED, SuppressionReason.BOUNCED, SuppressionReason.BOUNCED),
        (SuppressionReason.COMPLAINED, SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED),
    ],
)
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_decision_of_people_outlasts_a_bounce(
    database: Database,
    before: SuppressionReason,
    after: SuppressionReason,
    stays: SuppressionReason,
    everywhere: bool,
) -> None:
    with database.write() as session:
        newsletter_id = None if everywhere else factories.newsletter(session).id
        for reason, now in ((before, NOW), (after, LATER)):
            where = {"address": "a@example.com", "newsletter_id": newsletter_id}
            suppress(session, key_hash="k", reason=reason, now=now, **where)
        row = session.scalars(select(Suppression)).one()
        assert (row.reason, row.created_at) == (stays, NOW if stays is before else LATER)


def test_lifting_takes_back_all_or_those_with_one_reason(database: Database) -> None:
    with database.write() as session:
        newsletter = factories.newsletter(session)
        for key_hash in ("k", "other"):
            bounced = SuppressionReason.BOUNCED
            suppress(session, key_hash=key_hash, address=None, reason=bounced, now=NOW)
        here = {"address": "a@example.com", "newsletter_id": newsletter.id}
        suppress(session, key_hash="k", reason=SuppressionReason.NOT_ME, now=LATER, **here)
        assert lift(session, "k", now=NOW, only=SuppressionReason.BOUNCED) == 1
        assert [(one.newsletter, one.reason) for one in list_suppressions(session)] == [
            (None, "bounced"),
            ("daily", "not_me"),
        ]
        assert lift(session, "k", now=NOW) == 1
        assert lift(session, "k", now=NOW) == 0
        assert not list_suppressions(session, "k")
        assert len(list_suppressions(session)) == 1


def test_a_wording_is_kept_once_and_to_the_letter(database: Database) -> None:
    texts = [("en", "Yes, please."), ("en", "Yes, please. "), ("hy", "Yes, please.")]
    with database.write() as session:
        ids = [wording_id(session, language, text) for language, text in texts * 2]
        rows = session.execute(select(Wording.id, Wording.language, Wording.text)).all()

    assert ids[:3] == ids[3:]
    assert {(row.language, row.text) for row in rows} == set(texts)


def test_events_are_added_in_their_order(database: Database) -> None:
    with database.write() as session:
        events = [NewConsentEvent(kind, None, "k", Origin("test", NOW)) for kind in ConsentKind]
        record(session, events)
        record(session, [])
        found = session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)).all()
    assert found == list(ConsentKind)


def test_what_staff_decide_is_told_instead_of_the_bounce(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.reader(session, keys, schedule)
        report(session, keys, sent_digest(session, schedule).mails)
        [bounced] = list_suppressions(session)
        key_hash = keys.key_hash("reader@example.com")
        suppress(
            session,
            key_hash=key_hash,
            address=None,
            reason=SuppressionReason.STAFF,
            detail="asked by phone",
            now=LATER,
        )
        [decided] = list_suppressions(session, key_hash)
    said = "user_unknown (digest 1): 550 5.1.1 No such user"
    assert (bounced.reason, bounced.explanation, bounced.digest) == ("bounced", said, 1)
    assert (decided.reason, decided.explanation, decided.digest) == (
        "staff",
        "asked by phone",
        None,
    )


@pytest.mark.parametrize(
    ("status", "diagnostic", "digest", "words"),
    [
        ("5.1.1", "no such user", 7, "user_unknown (digest 7): no such user"),
        ("5.1.1", None, None, "user_unknown (a notice): 5.1.1"),
        (None, None, 7, "user_unknown (digest 7): nothing more was said"),
    ],
)
def test_a_suppression_says_what_came_back(
    status: str | None, diagnostic: str | None, digest: int | None, words: str
) -> None:
    view = SuppressionView(
        None, None, "bounced", None, NOW, "user_unknown", status, diagnostic, digest
    )
    assert view.explanation == words
