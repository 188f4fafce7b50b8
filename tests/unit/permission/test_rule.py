"""Whom we may mail: each reason alone and all together, and the same answer from both predicates."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Notice as NoticeRow
from mailer.models import NoticeKind, Subscriber, Subscription, SuppressionReason
from mailer.permission.rule import (
    forgiven_before,
    may_mail,
    notice_may_be_mailed,
    suppressed,
    why_not,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW


def test_a_reader_is_mailed_unless_one_of_the_reasons_holds(database: Database, keys: Keys) -> None:
    expected = {}
    with database.write() as session:
        newsletter = factories.newsletter(session)
        other = factories.newsletter(session, "other")
        schedule = factories.schedule(session, newsletter)
        cases = product((False, True), repeat=5)
        for number, (left, erased, everywhere, here, paused) in enumerate(cases):
            address = f"r{number}@example.com"
            person = factories.subscriber(session, keys, address, erased_at=NOW if erased else None)
            state = {"left_at": NOW if left else None, "paused_at": NOW if paused else None}
            row = factories.subscription(session, person, schedule, **state)
            if everywhere:
                factories.suppression(session, keys, address)
            if here:
                factories.suppression(session, keys, address, newsletter_id=newsletter.id)
            # Being stopped for another newsletter never counts.
            factories.suppression(session, keys, address, newsletter_id=other.id)
            stopped_here = everywhere or here
            reasons = {"left": left, "erased": erased, "suppressed": stopped_here, "paused": paused}
            expected[row.id] = next((word for word, holds in reasons.items() if holds), None)

    with database.read() as session:
        joined = select(Subscription.id, may_mail(), why_not()).join(
            Subscriber, Subscriber.id == Subscription.subscriber_id
        )
        found = {row_id: (bool(may), why) for row_id, may, why in session.execute(joined)}
    assert found == {row_id: (why is None, why) for row_id, why in expected.items()}
    assert len([why for why in expected.values() if why is None]) == 1


@pytest.mark.parametrize("kind", list(NoticeKind))
@pytest.mark.parametrize("reason", list(SuppressionReason))
@pytest.mark.parametrize("days", [29, 31])
def test_a_notice_is_stopped_by_a_suppression_everywhere(
    sqlite_database: Database, keys: Keys, kind: NoticeKind, reason: SuppressionReason, days: int
) -> None:
    with sqlite_database.write() as session:
        notice = factories.notice(session, keys, kind=kind)
        factories.suppression(
            session, keys, notice.address, reason=reason, created_at=NOW - timedelta(days=days)
        )
        found = session.scalar(
            select(notice_may_be_mailed(forgiven_before(NOW))).select_from(NoticeRow)
        )

    old_bounce = reason is SuppressionReason.BOUNCED and days == 31
    k = NoticeKind
    asked_anew = kind in {k.CONFIRMATION, k.ADDRESS_CHANGE}
    goes_to_staff = kind in {k.ALERT, k.REVIEW, k.REPORT}
    was_erased = reason is SuppressionReason.ERASED
    passes_erasure = was_erased and (asked_anew or goes_to_staff)
    assert bool(found) == (passes_erasure or (old_bounce and kind is k.CONFIRMATION))


def test_a_notice_is_stopped_when_all_that_it_is_about_is_muted(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        first, second = (factories.newsletter(session, slug) for slug in ("first", "second"))
        schedules = [factories.schedule(session, one) for one in (first, second)]
        signup = factories.signup(session, keys, schedules[0])
        notice = factories.notice(
            session, keys, signup.address, signup_id=signup.id, newsletter_id=first.id
        )

        def may() -> bool:
            rule = notice_may_be_mailed(forgiven_before(NOW))
            return bool(session.scalar(select(rule).select_from(NoticeRow)))

        assert may()
        factories.suppression(session, keys, signup.address, newsletter_id=second.id)
        assert may()
        factories.suppression(session, keys, signup.address, newsletter_id=first.id)
        assert not may()
        notice.signup_id = None
        session.flush()
        assert not may()


def test_who_is_kept_out_of_one_newsletter_by_a_hash_alone_may_ask_for_it_again(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        signup = factories.signup(session, keys, schedule)
        factories.notice(
            session,
            keys,
            signup.address,
            signup_id=signup.id,
            newsletter_id=schedule.newsletter_id,
        )
        # About no sign-up, such as a link to the preferences of other newsletters.
        factories.notice(
            session,
            keys,
            signup.address,
            kind=NoticeKind.PREFERENCES,
            newsletter_id=schedule.newsletter_id,
        )
        factories.suppression(
            session,
            keys,
            signup.address,
            newsletter_id=schedule.newsletter_id,
            reason=SuppressionReason.ERASED,
        )
        rule = notice_may_be_mailed(forgiven_before(NOW))
        assert all(session.scalars(select(rule).select_from(NoticeRow)).all())


def test_who_is_stopped_whoever_enters_them(database: Database, keys: Keys) -> None:
    with database.write() as session:
        here, there = (factories.newsletter(session, slug) for slug in ("here", "there"))
        factories.suppression(session, keys, "a@example.com")
        factories.suppression(session, keys, "b@example.com", newsletter_id=here.id)
        factories.suppression(session, keys, "c@example.com", newsletter_id=there.id)
        hashes = {name: keys.key_hash(f"{name}@example.com") for name in "abcd"}

        found = suppressed(session, list(hashes.values()), here.id)

    assert found == {hashes["a"], hashes["b"]}
