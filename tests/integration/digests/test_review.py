"""Reviews: one for each slot, and what staff answer comes true."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.digests import review
from mailer.digests.calendar import Slot
from mailer.digests.review import ReviewState
from mailer.errors import NotFound
from mailer.message.lint import judge
from mailer.message.marker import ReaderField, cut
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    NoticeKind,
    Review,
    ReviewAct,
    Schedule,
)
from mailer.tokens import Keys
from tests import factories as make
from tests.factories import NOW
from tests.integration.digests.builders import render_plainly
from tests.integration.digests.test_build import build, got, slot_of
from tests.looks import edition, notice_mail, piece
from tests.sending import alerts

NEAR = NOW + timedelta(minutes=40)
"""Twenty minutes before the slot."""


@pytest.fixture
def schedule(database: Database, keys: Keys) -> Schedule:
    """A schedule that is reviewed half an hour before, with two readers and an article."""
    with database.write() as session:
        newsletter = make.newsletter(session)
        found = make.schedule(session, newsletter, review=timedelta(minutes=30))
        make.schedule(session, newsletter, "weekly")
        make.article(session, newsletter)
        make.readers(session, keys, found, 2)
        return found


def due(database: Database, now: datetime = NEAR) -> list[tuple[int, Slot]]:
    with database.read() as session:
        return review.due(session, now=now)


def write(database: Database, keys: Keys, schedule: Schedule, now: datetime = NEAR) -> bool:
    slot = slot_of(schedule)
    with database.read() as session:
        content = review.review_content(session, alerts(keys), render_plainly, schedule.id, slot)
    if content is None:
        return False
    with database.write() as session:
        return review.queue_review(session, alerts(keys), content, schedule.id, slot, now=now)


def press(database: Database, act: ReviewAct, now: datetime = NEAR) -> ReviewState:
    with database.write() as session:
        link = session.scalars(select(Review)).one().link_id(act)
        review.answer(session, link, now=now)
    with database.read() as session:
        return review.read_review(session, link, publisher=None, now=now).state


def state(database: Database, now: datetime = NEAR) -> ReviewState:
    with database.read() as session:
        link = session.scalars(select(Review)).one().link_id(ReviewAct.SEND)
        return review.read_review(session, link, publisher=None, now=now).state


def test_staff_see_it_once_for_each_slot(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    assert due(database, NOW + timedelta(minutes=29)) == []
    assert due(database) == [(schedule.id, slot_of(schedule))]
    assert write(database, keys, schedule)
    assert due(database) == []
    assert not write(database, keys, schedule)
    with database.read() as session:
        notice = session.scalars(select(Notice)).one()
        row = session.scalars(select(Review)).one()
    assert (notice.kind, notice.address) == (NoticeKind.REVIEW, "desk@news.example")
    assert notice.subject == "To review: The Daily 2026-11-24T07:00"
    assert "at 07:00 (UTC)" in " ".join(notice.text.split())
    assert "2 readers get it" in notice.text
    assert row.notice_id == notice.id
    assert row.expires_at == NOW + timedelta(hours=7)
    # The day after has a review of its own.
    build(database, schedule)
    assert [slot.name for _, slot in due(database, NEAR + timedelta(days=1))] == [
        "2026-11-25T07:00"
    ]


def test_who_chose_another_schedule_is_not_told_of_as_one_who_gets_nothing(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    with database.write() as session:
        weekly = session.scalars(select(Schedule).where(Schedule.name == "weekly")).one()
        make.reader(session, keys, weekly, "weekly@example.com")
    assert write(database, keys, schedule)
    with database.read() as session:
        text = session.scalars(select(Notice)).one().text
    assert "2 readers get it" in text
    assert "nothing" not in text.partition("==========")[0].replace("You need to do nothing.", "")


def test_one_who_waits_is_told_of_as_one_who_gets_nothing(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    with database.write() as session:
        late = make.reader(session, keys, schedule, "late@example.com")
        late.start_article, late.first_digest_id = 10_000, None
        session.get_one(Schedule, schedule.id).newcomers = 0
    assert write(database, keys, schedule)
    with database.read() as session:
        assert "1 reader gets nothing" in session.scalars(select(Notice)).one().text


def test_it_is_a_good_mail_with_two_links(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    def render(*_: object) -> object:
        return edition(piece(1), piece(2))

    with database.read() as session:
        content = review.review_content(
            session,
            alerts(keys),
            render,
            schedule.id,
            slot_of(schedule),  # type: ignore[arg-type]
        )
    assert content is not None
    for part in (content.html, content.text):
        links = cut(part, content.marker).fields
        assert [links.count(one) for one in (ReaderField.STOP, ReaderField.SEND)] == [1, 1]
        assert "Story 2" in part
    assert content.html.index("STOPZ") < content.html.index("Story 1</a>")
    assert judge(notice_mail(content)) == ()


def test_where_nobody_gets_anything_nothing_is_shown(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    build(database, schedule)
    tomorrow = slot_of(schedule, "2026-11-25T07:00")
    with database.read() as session:
        assert (
            review.review_content(session, alerts(keys), render_plainly, schedule.id, tomorrow)
            is None
        )


def test_many_schedulers_write_one(database: Database, keys: Keys, schedule: Schedule) -> None:
    ready = threading.Barrier(4)
    wrote: list[bool] = []

    def scheduler() -> None:
        slot = slot_of(schedule)
        with database.read() as session:
            content = review.review_content(
                session, alerts(keys), render_plainly, schedule.id, slot
            )
        assert content is not None
        ready.wait(120)
        with database.write() as session:
            wrote.append(
                review.queue_review(session, alerts(keys), content, schedule.id, slot, now=NEAR)
            )

    threads = [threading.Thread(target=scheduler) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(wrote) == [False, False, False, True]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Notice)) == 1


def test_a_stopped_slot_gets_no_digest_and_the_next_has_its_articles(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    write(database, keys, schedule)
    assert state(database) is ReviewState.WAITING
    assert press(database, ReviewAct.STOP) is ReviewState.STOPPED
    assert press(database, ReviewAct.STOP) is ReviewState.STOPPED
    assert press(database, ReviewAct.SEND) is ReviewState.STOPPED
    digest = build(database, schedule)
    assert (digest.status, digest.slot) == (DigestStatus.CANCELLED, "2026-11-24T07:00")
    assert "staff" in (digest.reason or "")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0
    following = build(database, schedule, "2026-11-25T07:00")
    assert following.status is DigestStatus.SENDING
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 2


def test_what_staff_want_now_is_asked_for_until_it_is_built(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    write(database, keys, schedule)
    assert press(database, ReviewAct.SEND) is ReviewState.ASKED
    assert press(database, ReviewAct.SEND) is ReviewState.ASKED
    with database.read() as session:
        assert review.asked_for(session, now=NEAR) == [(schedule.id, slot_of(schedule))]
    build(database, schedule)
    with database.read() as session:
        assert review.asked_for(session, now=NEAR) == []
    assert state(database) is ReviewState.SENT


def test_to_stop_wins_over_to_send_until_it_is_built(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    write(database, keys, schedule)
    press(database, ReviewAct.SEND)
    assert press(database, ReviewAct.STOP) is ReviewState.STOPPED
    with database.read() as session:
        assert review.asked_for(session, now=NEAR) == []


def test_one_that_is_on_its_way_is_ended(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    write(database, keys, schedule)
    digest = build(database, schedule)
    assert press(database, ReviewAct.STOP, NOW + timedelta(hours=1)) is ReviewState.STOPPED
    with database.read() as session:
        assert set(session.scalars(select(Delivery.status))) == {DeliveryStatus.CANCELLED}
        assert session.get_one(Digest, digest.id).status is DigestStatus.CANCELLED


@pytest.mark.parametrize("act", ReviewAct)
def test_of_one_that_has_gone_out_nothing_is_to_be_decided(
    database: Database, keys: Keys, schedule: Schedule, act: ReviewAct
) -> None:
    write(database, keys, schedule)
    digest = build(database, schedule)
    with database.write() as session:
        session.get_one(Digest, digest.id).status = DigestStatus.SENT
    # Else its page would offer a button that does nothing, again and again.
    assert press(database, act) is ReviewState.OVER
    with database.read() as session:
        assert session.get_one(Digest, digest.id).status is DigestStatus.SENT


def test_who_was_to_get_one_that_was_ended_gets_its_articles_at_the_next_slot(
    database: Database, keys: Keys, schedule: Schedule
) -> None:
    write(database, keys, schedule)
    digest = build(database, schedule)
    with database.write() as session:
        first, second = session.scalars(select(Delivery).order_by(Delivery.id))
        first.status = DeliveryStatus.SENT
    for _ in range(2):
        assert press(database, ReviewAct.STOP) is ReviewState.STOPPED
    following = build(database, schedule, "2026-11-25T07:00")
    assert following.status is DigestStatus.SENDING
    # Whoever has had it stays away, and the slot that was stopped has no other digest.
    assert list(got(database, following)) == [second.subscriber_id]
    assert set(got(database, digest)) == {first.subscriber_id, second.subscriber_id}
    assert build(database, schedule).id == digest.id


@pytest.mark.parametrize("act", ReviewAct)
def test_pressed_by_many_at_once_it_is_one_answer(
    database: Database, keys: Keys, schedule: Schedule, act: ReviewAct
) -> None:
    write(database, keys, schedule)
    ready = threading.Barrier(8)
    found: list[ReviewState] = []

    def desk() -> None:
        ready.wait(120)
        found.append(press(database, act))

    threads = [threading.Thread(target=desk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wanted = ReviewState.STOPPED if act is ReviewAct.STOP else ReviewState.ASKED
    assert found == [wanted] * 8
    with database.read() as session:
        slots = session.scalars(select(Digest.slot)).all()
    assert slots == (["2026-11-24T07:00"] if act is ReviewAct.STOP else [])
    build(database, schedule)
    assert build(database, schedule, "2026-11-25T07:00").status is (
        DigestStatus.SENDING if act is ReviewAct.STOP else DigestStatus.SKIPPED
    )


@pytest.mark.parametrize(
    "change",
    [
        {"at": "08:00"},
        {"paused_at": NOW},
        {"removed_at": NOW},
        {"active_from": NOW + timedelta(hours=1)},
    ],
)
def test_a_slot_that_does_not_count_any_more_is_left_alone(
    database: Database, keys: Keys, schedule: Schedule, change: dict[str, object]
) -> None:
    write(database, keys, schedule)
    with database.write() as session:
        row = session.get_one(Schedule, schedule.id)
        for name, value in change.items():
            setattr(row, name, value)
    for act in ReviewAct:
        assert press(database, act) is ReviewState.OVER
    with database.read() as session:
        assert review.asked_for(session, now=NEAR) == []
        assert session.scalar(select(func.count()).select_from(Digest)) == 0


def test_after_its_time_nothing_happens(database: Database, keys: Keys, schedule: Schedule) -> None:
    write(database, keys, schedule)
    assert press(database, ReviewAct.STOP, NOW + timedelta(hours=8)) is ReviewState.OVER
    with database.write() as session, pytest.raises(NotFound):
        review.answer(session, 99999, now=NEAR)
