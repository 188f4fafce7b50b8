"""Somebody is erased: what names them is gone from every table, and what sums and proofs need stays."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, select, text

from mailer.address import parse
from mailer.bounces.mails import read_mails
from mailer.db import Database
from mailer.db.prepared_statements import execute
from mailer.db.wiping import wipe
from mailer.ledger import claims, outcomes
from mailer.ledger.digest_state import counts
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.models import (
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    EvidenceKind,
    JournalEntry,
    JournalKind,
    Notice,
    NoticeKind,
    Schedule,
    Signup,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.newsletters.offer import Publisher, offer
from mailer.permission.consent import Origin
from mailer.permission.rule import forgiven_before, notice_may_be_mailed
from mailer.permission.suppress import erased_at, lift, suppress_reported
from mailer.subscribers.confirmation import SignupState, confirm
from mailer.subscribers.entering.decide import EntryResult, NewReader
from mailer.subscribers.entering.enter import enter
from mailer.subscribers.erase import erase, source_without_person
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus
from mailer.subscribers.signup import ScheduleChoice
from mailer.tokens import Keys, ReferencedRow
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.traces import columns_with

ADDRESS, NAME = "Anna.Muster@example.org", "Anna Muster"
WORDS = ("anna", "muster", "example.org", "192.0.2.77", "Firefox")
LATER = NOW + timedelta(hours=1)


def key_hash(keys: Keys, address: str = ADDRESS) -> str:
    return keys.key_hash(address.lower())


def leave_traces(database: Database, keys: Keys) -> SimpleNamespace:
    """Write the person everywhere where one can be, beside another reader."""
    client = {"ip": "192.0.2.77", "user_agent": "Firefox 150"}
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        other = make.reader(session, keys, schedule, "other@example.com")
        person = make.subscriber(session, keys, ADDRESS, name=NAME, language="hy")
        subscription = make.subscription(session, person, schedule)
        edition = make.edition(session, digest := make.digest(session, schedule))
        sent = make.delivery(
            session, edition, subscription,
            status=DeliveryStatus.SENT, reply="250 queued for anna", outcome_at=NOW,
        )  # fmt: skip
        make.delivery(session, edition, other)
        wording = make.wording(session)
        signup = make.signup(session, keys, schedule, ADDRESS, name=NAME, **client)
        for kind, source in (
            (ConsentKind.REQUESTED, "/subscribe"),
            (ConsentKind.IMPORTED, "import anna.csv: letter by Anna Muster, line 3"),
        ):
            make.consent_event(
                session, keys, ADDRESS,
                kind=kind, source=source, newsletter_id=newsletter.id, wording_id=wording.id,
                signup_public_id=signup.public_id, **client,
            )  # fmt: skip
        make.suppression(
            session, keys, ADDRESS, newsletter_id=newsletter.id, detail="Anna asked by phone"
        )
        for status in DeliveryStatus:
            make.notice(
                session, keys, ADDRESS,
                status=status, kind=NoticeKind.CONFIRMATION, signup_id=signup.id,
                rate_key="anna.muster@example.org", reply="said of anna",
            )  # fmt: skip
        session.add(
            BounceEvent(
                delivery_id=sent.id, digest_id=digest.id, key_hash=person.key_hash,
                domain="example.org", kind=EvidenceKind.SOFT, reason="full", diagnostic="anna is full",
                source="smtp", mailed_at=NOW, reported_at=NOW, recorded_at=NOW,
            )
        )  # fmt: skip
    return SimpleNamespace(
        digest=digest.id, sent=sent.id, subscriber=person.id, subscription=subscription.id
    )


def erase_now(database: Database, keys: Keys, address: str = ADDRESS) -> bool:
    with database.write() as session:
        return erase(session, key_hash(keys, address), source="mailer subscriber erase", now=LATER)


def consent(database: Database, keys: Keys) -> Sequence[ConsentEvent]:
    with database.read() as session:
        which = ConsentEvent.key_hash == key_hash(keys)
        return session.scalars(select(ConsentEvent).where(which).order_by(ConsentEvent.id)).all()


def test_what_names_a_person_is_in_no_column_of_any_table(database: Database, keys: Keys) -> None:
    leave_traces(database, keys)
    before = columns_with(database, *WORDS)
    # The test must be able to see: every place where it wrote them.
    assert len(before) >= 15
    assert erase_now(database, keys)
    assert columns_with(database, *WORDS) == []
    assert columns_with(database, "other@example.com")


def test_the_samples_of_postgresql_hold_nobody(postgresql_database: Database, keys: Keys) -> None:
    leave_traces(postgresql_database, keys)
    holds = text(
        "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND"
        " concat(histogram_bounds, most_common_vals) ILIKE '%anna%'"
    )
    with postgresql_database.alone() as connection:
        connection.exec_driver_sql("ANALYZE")
        assert connection.execute(holds).scalar_one() > 0
    assert erase_now(postgresql_database, keys)
    assert wipe(postgresql_database) is None
    with postgresql_database.alone() as connection:
        assert connection.execute(holds).scalar_one() == 0


def test_the_sums_of_the_ledger_hold(database: Database, keys: Keys) -> None:
    ids = leave_traces(database, keys)
    with database.read() as session:
        before = counts(session, ids.digest)
    erase_now(database, keys)
    with database.read() as session:
        assert counts(session, ids.digest) == before
        tombstone = session.get_one(Subscriber, ids.subscriber)
        assert (tombstone.erased_at, tombstone.address, tombstone.name) == (LATER, "", None)
        left = session.get_one(Subscription, ids.subscription)
        assert (left.left_at, left.left_reason) == (LATER, "erased")
        assert session.get_one(Delivery, ids.sent).status is DeliveryStatus.SENT


def test_a_notice_that_waits_is_never_sent_and_one_on_its_way_gets_its_outcome(
    database: Database, keys: Keys
) -> None:
    leave_traces(database, keys)
    erase_now(database, keys)
    with database.read() as session:
        statuses = sorted(session.scalars(select(Notice.status)))
        may = notice_may_be_mailed(forgiven_before(LATER))
        assert session.scalars(select(Notice.id).where(may)).all() == []
    s = DeliveryStatus
    ended = [s.CANCELLED] * 4 + [s.SENDING, s.SENT, s.FAILED, s.SKIPPED, s.UNKNOWN]
    assert statuses == sorted(ended)


def test_the_consent_log_keeps_what_happened(database: Database, keys: Keys) -> None:
    leave_traces(database, keys)
    erase_now(database, keys)
    events = consent(database, keys)
    assert [(event.kind, event.source) for event in events] == [
        (ConsentKind.REQUESTED, "/subscribe"),
        (ConsentKind.IMPORTED, "import"),
        (ConsentKind.ERASED, "mailer subscriber erase"),
    ]
    assert all(event.wording_id and event.newsletter_id for event in events[:2])


def test_it_is_journaled_by_the_hash(database: Database, keys: Keys) -> None:
    leave_traces(database, keys)
    erase_now(database, keys)
    with database.read() as session:
        entry = session.scalars(select(JournalEntry)).one()
    assert (entry.kind, entry.key_hash) == (JournalKind.ERASED, key_hash(keys))


def test_erasing_twice_changes_nothing_more(database: Database, keys: Keys) -> None:
    leave_traces(database, keys)
    assert erase_now(database, keys)
    with database.read() as session:
        assert erased_at(session, key_hash(keys)) == LATER
    assert not erase_now(database, keys)
    assert len(consent(database, keys)) == 3


@pytest.mark.parametrize("what", ["signup", "notice", "suppression", "consent_event"])
def test_an_address_that_never_subscribed_can_be_erased(
    database: Database, keys: Keys, what: str
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        if what == "signup":
            make.signup(session, keys, schedule, ADDRESS)
        elif what == "notice":
            make.notice(session, keys, ADDRESS)
        else:
            getattr(make, what)(session, keys, ADDRESS)
    assert erase_now(database, keys)
    assert columns_with(database, *WORDS) == []


def test_nothing_was_held_and_the_address_is_still_kept_away(
    database: Database, keys: Keys
) -> None:
    assert not erase_now(database, keys)
    with database.read() as session:
        row = session.scalars(select(Suppression)).one()
    assert (row.key_hash, row.reason) == (key_hash(keys), SuppressionReason.ERASED)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SuppressionReason.BOUNCED, SuppressionReason.ERASED),
        (SuppressionReason.COMPLAINED, SuppressionReason.COMPLAINED),
        (SuppressionReason.STAFF, SuppressionReason.STAFF),
    ],
)
def test_a_decision_of_people_stays_the_reason(
    database: Database, keys: Keys, before: SuppressionReason, after: SuppressionReason
) -> None:
    with database.write() as session:
        make.suppression(session, keys, ADDRESS, reason=before, detail="Anna")
    erase_now(database, keys)
    with database.read() as session:
        row = session.scalars(select(Suppression)).one()
    assert (row.reason, row.address, row.detail) == (after, None, None)


def test_a_change_of_address_that_waits_goes_too(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        person = make.subscriber(session, keys, ADDRESS)
        new = "new-anna@elsewhere.example"
        signup = make.signup(session, keys, schedule, new, subscriber_id=person.id)
        make.notice(session, keys, new, signup_id=signup.id)
        make.consent_event(session, keys, new, signup_public_id=signup.public_id)
    assert erase_now(database, keys)
    assert columns_with(database, "anna", "elsewhere.example") == []
    with database.read() as session:
        assert session.scalars(select(Signup.id)).all() == []


def test_an_address_from_before_a_change_goes_too(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        old = "old-anna@elsewhere.example"
        signup = make.signup(session, keys, schedule, old, confirmed_at=NOW)
        make.notice(session, keys, old, signup_id=signup.id, status=DeliveryStatus.SENT)
        make.subscriber(session, keys, ADDRESS)
        # A change of address carries the consent log over to the new one.
        make.consent_event(
            session, keys, old, key_hash=key_hash(keys), signup_public_id=signup.public_id
        )
    assert erase_now(database, keys)
    assert columns_with(database, "anna", "elsewhere.example") == []


def test_what_comes_back_afterwards_names_and_suppresses_nobody(
    database: Database, keys: Keys
) -> None:
    ids = leave_traces(database, keys)
    erase_now(database, keys)
    with database.write() as session:
        rows = [ReferencedRow("delivery", ids.sent)] + [
            ReferencedRow("notice", row_id) for row_id in session.scalars(select(Notice.id))
        ]
        for mail in read_mails(session, rows):
            assert (mail.address, mail.domain, mail.to_reader) == (None, None, False)
        before = session.scalars(select(Suppression.id)).all()
        session.execute(
            text(
                "UPDATE bounce_event SET key_hash = (SELECT key_hash FROM subscriber WHERE id = :id)"
            ),
            {"id": ids.subscriber},
        )
        suppress_reported(session, BounceEvent.id > 0, SuppressionReason.BOUNCED, now=LATER)
        assert session.scalars(select(Suppression.id)).all() == before


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("/subscribe", "/subscribe"),
        ("/preferences: pause", "/preferences: pause"),
        ("import anna.csv: paper by Anna, line 2", "import"),
        ("mailer subscriber add: Anna on the phone", "mailer subscriber add"),
        ("mailer subscriber unsubscribe", "mailer subscriber unsubscribe"),
        ("reported through ses", "reported through ses"),
    ],
)
def test_a_source_keeps_what_names_nobody(source: str, kept: str) -> None:
    assert source_without_person(source) == kept


@pytest.mark.thorough
@pytest.mark.parametrize("before", [None, SuppressionReason.COMPLAINED])
@pytest.mark.parametrize("status", ReaderStatus)
def test_no_import_writes_anything_about_an_erased_person(
    database: Database, keys: Keys, before: SuppressionReason | None, status: ReaderStatus
) -> None:
    leave_traces(database, keys)
    if before is not None:
        with database.write() as session:
            make.suppression(session, keys, ADDRESS, reason=before)
    erase_now(database, keys)
    row = ImportRow(2, ADDRESS, name=NAME, status=status, opt_in_ip="192.0.2.77")
    reader = NewReader(parse(ADDRESS), key_hash(keys), row, "import anna.csv: fair, line 2")
    with database.write() as session:
        choice = ScheduleChoice(offer(session, Publisher(), "daily"))
        results, _ = enter(session, [reader], choice, random=secrets.token_bytes, now=LATER)
    assert results == [EntryResult.SUPPRESSED]
    assert columns_with(database, *WORDS) == []


def test_a_worker_that_holds_a_notice_sends_it_no_more(database: Database, keys: Keys) -> None:
    with database.write() as session:
        worker = make.worker(session)
        claimed, sending = (
            make.notice(session, keys, ADDRESS, status=status, worker_id=worker.id, attempts=1)
            for status in (DeliveryStatus.CLAIMED, DeliveryStatus.SENDING)
        )
    erase_now(database, keys)
    rows = {notice.id: RowId(Notice, notice.id) for notice in (claimed, sending)}
    with database.write() as session:
        started = execute(outcomes.start(worker.id, rows.values(), LATER), session)
        assert started == set()
        deferred = AttemptResult(
            rows[sending.id], worker.id, 1, DeliveryStatus.DEFERRED, "dot", 451, "later", LATER
        )
        execute(outcomes.record([deferred], LATER), session)
    with database.write() as session:
        claims_, skipped = execute(claims.claim(worker.id, 10, LATER), session)
        assert (claims_, skipped) == ([], 1)
    with database.read() as session:
        statuses = {row.id: row.status for row in session.scalars(select(Notice))}
    assert statuses == {
        claimed.id: DeliveryStatus.CANCELLED,
        sending.id: DeliveryStatus.SKIPPED,
    }


def test_an_erased_address_gets_what_it_asks_for_anew_and_what_goes_to_staff(
    database: Database, keys: Keys
) -> None:
    erase_now(database, keys)
    with database.write() as session:
        kinds = {make.notice(session, keys, ADDRESS, kind=kind).id: kind for kind in NoticeKind}
    with database.read() as session:
        may = notice_may_be_mailed(forgiven_before(LATER))
        mailed = {kinds[row_id] for row_id in session.scalars(select(Notice.id).where(may))}
    k = NoticeKind
    assert mailed == {k.CONFIRMATION, k.ADDRESS_CHANGE, k.ALERT, k.REVIEW, k.REPORT}


def newcomer_signs_up(database: Database, keys: Keys) -> int:
    with database.write() as session:
        schedule = session.scalars(select(Schedule)).first()
        assert schedule is not None
        signup = make.signup(session, keys, schedule, ADDRESS)
        make.notice(session, keys, ADDRESS, signup_id=signup.id)
        return signup.public_id


def confirm_now(database: Database, public_id: int) -> SignupState:
    with database.write() as session:
        view = confirm(
            session, Publisher(), public_id, Origin("/confirm", LATER), random=secrets.token_bytes
        )
    assert view is not None
    return view.state


def test_the_person_can_come_back_by_confirming_and_starts_anew(
    database: Database, keys: Keys
) -> None:
    ids = leave_traces(database, keys)
    with database.write() as session:
        session.execute(delete(Suppression))
    erase_now(database, keys)
    public_id = newcomer_signs_up(database, keys)
    with database.read() as session:
        may = notice_may_be_mailed(forgiven_before(LATER))
        assert len(session.scalars(select(Notice.id).where(may)).all()) == 1
    assert confirm_now(database, public_id) is SignupState.CONFIRMED
    with database.read() as session:
        assert session.scalars(select(Suppression.id)).all() == []
        person = session.scalars(
            select(Subscriber).where(Subscriber.key_hash == key_hash(keys))
        ).one()
        assert person.id != ids.subscriber
        assert erased_at(session, key_hash(keys)) is None


def test_who_complained_and_was_erased_is_not_mailed_even_if_they_sign_up(
    database: Database, keys: Keys
) -> None:
    leave_traces(database, keys)
    with database.write() as session:
        session.execute(delete(Suppression))
        make.suppression(session, keys, ADDRESS, reason=SuppressionReason.COMPLAINED)
    erase_now(database, keys)
    public_id = newcomer_signs_up(database, keys)
    with database.read() as session:
        may = notice_may_be_mailed(forgiven_before(LATER))
        assert session.scalars(select(Notice.id).where(may)).all() == []
    confirm_now(database, public_id)
    with database.read() as session:
        reasons = session.scalars(select(Suppression.reason)).all()
    assert reasons == [SuppressionReason.COMPLAINED]


def test_staff_cannot_lift_that_somebody_was_erased(database: Database, keys: Keys) -> None:
    leave_traces(database, keys)
    with database.write() as session:
        make.suppression(session, keys, ADDRESS, reason=SuppressionReason.COMPLAINED)
    erase_now(database, keys)
    with database.write() as session:
        # The complaint and the mute of one newsletter; behind them stays that they were erased.
        assert lift(session, key_hash(keys), now=LATER) == 2
        assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason.ERASED]
        assert lift(session, key_hash(keys), now=LATER) == 0
        assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason.ERASED]
