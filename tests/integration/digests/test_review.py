"""Reviews: one for each slot, and what staff answer comes true."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from sqlalchemy import func, select, update

from mailer.db import Database
from mailer.digests.schedules.calendar import Slot
from mailer.digests.staff_mail import review
from mailer.digests.staff_mail.review import ReviewState
from mailer.errors import NotFound
from mailer.ledger.transitions import Claim, RowId
from mailer.lint import judge
from mailer.message.content import Content
from mailer.message.reader_fields import ReaderField, split_text
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
from mailer.sending.composer import Composer
from mailer.templating.templates import Templates
from mailer.tokens import Keys, Purpose
from tests.integration.digests.builders import render_plainly
from tests.integration.digests.test_builder import build, got, slot_of
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.sample_mails import edition, notice_mail, story
from tests.support.sending import alerts

NEAR = NOW + timedelta(minutes=40)
"""Twenty minutes before the slot."""


class Desk:
    """A schedule that is reviewed half an hour before, with two readers and an article."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database, self.keys, self.alerts = database, keys, alerts(keys)
        with database.write() as session:
            newsletter = make.newsletter(session)
            self.schedule = make.schedule(session, newsletter, review=timedelta(minutes=30))
            self.weekly = make.schedule(session, newsletter, "weekly")
            make.article(session, newsletter)
            make.readers(session, keys, self.schedule, 2)

    def due(self, now: datetime = NEAR) -> list[tuple[int, Slot]]:
        with self.database.read() as session:
            return review.due_reviews(session, now=now)

    def content(
        self, name: str = "2026-11-24T07:00", render: Callable[..., Content] = render_plainly
    ) -> Content | None:
        slot = slot_of(self.schedule, name)
        with self.database.read() as session:
            return review.review_content(session, self.alerts, render, self.schedule.id, slot)

    def queue(self, content: Content) -> bool:
        slot = slot_of(self.schedule)
        with self.database.write() as session:
            return review.queue_review(
                session, self.alerts, content, self.schedule.id, slot, now=NEAR
            )

    def write(self) -> bool:
        content = self.content()
        return content is not None and self.queue(content)

    def notice(self) -> Notice:
        with self.database.read() as session:
            return session.scalars(select(Notice)).one()

    def composed(self) -> list[str]:
        """The mails that wait, as they go out."""
        composer = Composer(self.keys, "https://news.example", Templates())
        with self.database.write() as session:
            rows = session.scalars(select(Notice.id).order_by(Notice.id)).all()
            claims = [Claim(RowId(Notice, one), 1, 1, NEAR) for one in rows]
            mails = composer.load(session, claims)
        found = []
        for mail in mails:
            parsed = message_from_bytes(composer.compose(mail, utf8=False)[1], policy=default)
            parts = [parsed.get_body((kind,)) for kind in ("plain", "html")]
            found.append("".join(part.get_content() for part in parts if part is not None))
        return found

    def asked_for(self) -> list[tuple[int, Slot]]:
        with self.database.read() as session:
            return review.asked_for(session, now=NEAR)

    def press(self, act: ReviewAct, now: datetime = NEAR) -> ReviewState:
        with self.database.write() as session:
            review.answer(session, session.scalars(select(Review)).one().link_id(act), now=now)
        return self.state(act, now)

    def state(self, act: ReviewAct = ReviewAct.SEND, now: datetime = NEAR) -> ReviewState:
        with self.database.read() as session:
            link = session.scalars(select(Review)).one().link_id(act)
            return review.read_review(session, link, publisher=None, now=now).state

    def build(self, name: str = "2026-11-24T07:00") -> Digest:
        return build(self.database, self.schedule, name)

    def count(self, model: type[Delivery | Digest | Notice]) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def desk(database: Database, keys: Keys) -> Desk:
    return Desk(database, keys)


def test_staff_see_it_once_for_each_slot(desk: Desk) -> None:
    assert desk.due(NOW + timedelta(minutes=29)) == []
    assert desk.due() == [(desk.schedule.id, slot_of(desk.schedule))]
    assert desk.write()
    assert desk.due() == []
    assert not desk.write()
    notice = desk.notice()
    with desk.database.read() as session:
        row = session.scalars(select(Review)).one()
    assert (notice.kind, notice.address) == (NoticeKind.REVIEW, "desk@news.example")
    assert notice.subject == "Review: The Daily 2026-11-24T07:00"
    assert "at 07:00 (UTC)" in " ".join(notice.text.split())
    assert "2 readers will get it" in notice.text
    assert row.notice_id == notice.id
    assert row.expires_at == NOW + timedelta(hours=7)
    # The day after has a review of its own.
    desk.build()
    assert [slot.name for _, slot in desk.due(NEAR + timedelta(days=1))] == ["2026-11-25T07:00"]


def test_each_address_gets_a_copy_whose_links_work(desk: Desk) -> None:
    staff = ("desk@news.example", "chief@news.example", "owner@news.example")
    desk.alerts = alerts(desk.keys, *staff)
    assert desk.write()
    desk.alerts = alerts(desk.keys, *staff, "late@news.example")
    assert not desk.write()
    with desk.database.read() as session:
        row = session.scalars(select(Review)).one()
        copies = session.scalars(select(Notice).order_by(Notice.id)).all()
    assert [(one.address, one.review_id) for one in copies] == [(one, row.id) for one in staff]
    assert row.notice_id == copies[0].id
    mails = desk.composed()
    assert len(mails) == 3
    for act in ReviewAct:
        token = desk.keys.make(Purpose.REVIEW, row.link_id(act), row.expires_at)
        assert [mail.count(f"https://news.example/review/{token}") for mail in mails] == [2, 2, 2]


def test_a_review_from_before_there_were_copies_has_its_links(desk: Desk) -> None:
    assert desk.write()
    with desk.database.write() as session:
        session.execute(update(Notice).values(review_id=None))
    [mail] = desk.composed()
    assert mail.count("https://news.example/review/") == 4


def test_who_chose_another_schedule_is_not_told_of_as_one_who_gets_nothing(desk: Desk) -> None:
    with desk.database.write() as session:
        make.reader(session, desk.keys, desk.weekly, "weekly@example.com")
    assert desk.write()
    text = desk.notice().text
    assert "2 readers will get it" in text
    assert "nothing" not in text.partition("==========")[0].replace("You need to do nothing.", "")


def test_one_who_waits_is_told_of_as_one_who_gets_nothing(desk: Desk) -> None:
    with desk.database.write() as session:
        late = make.reader(session, desk.keys, desk.schedule, "late@example.com")
        late.start_article, late.first_digest_id = 10_000, None
        session.get_one(Schedule, desk.schedule.id).newcomers = 0
    assert desk.write()
    assert "1 reader will get nothing" in desk.notice().text


def test_it_is_a_good_mail_with_two_links(desk: Desk) -> None:
    def render(*_: object) -> object:
        return edition(story(1), story(2))

    content = desk.content(render=render)  # type: ignore[arg-type]
    assert content is not None
    for part in (content.html, content.text):
        links = split_text(part, content.marker).fields
        assert [links.count(one) for one in (ReaderField.STOP, ReaderField.SEND)] == [1, 1]
        assert "Story 2" in part
    assert content.html.index("STOPZ") < content.html.index("Story 1</a>")
    assert judge(notice_mail(content)) == ()


def test_where_nobody_gets_anything_nothing_is_shown(desk: Desk) -> None:
    desk.build()
    assert desk.content("2026-11-25T07:00") is None


def test_many_schedulers_write_one(desk: Desk) -> None:
    ready = threading.Barrier(4)
    wrote: list[bool] = []

    def scheduler() -> None:
        content = desk.content()
        assert content is not None
        ready.wait(120)
        wrote.append(desk.queue(content))

    threads = [threading.Thread(target=scheduler) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(wrote) == [False, False, False, True]
    assert desk.count(Notice) == 1


def test_a_stopped_slot_gets_no_digest_and_the_next_has_its_articles(desk: Desk) -> None:
    desk.write()
    assert desk.state() is ReviewState.WAITING
    assert desk.press(ReviewAct.STOP) is ReviewState.STOPPED
    assert desk.press(ReviewAct.STOP) is ReviewState.STOPPED
    assert desk.press(ReviewAct.SEND) is ReviewState.STOPPED
    digest = desk.build()
    assert (digest.status, digest.slot) == (DigestStatus.CANCELLED, "2026-11-24T07:00")
    assert "staff" in (digest.reason or "")
    assert desk.count(Delivery) == 0
    following = desk.build("2026-11-25T07:00")
    assert following.status is DigestStatus.SENDING
    assert desk.count(Delivery) == 2


def test_what_staff_want_now_is_asked_for_until_it_is_built(desk: Desk) -> None:
    desk.write()
    assert desk.press(ReviewAct.SEND) is ReviewState.ASKED
    assert desk.press(ReviewAct.SEND) is ReviewState.ASKED
    assert desk.asked_for() == [(desk.schedule.id, slot_of(desk.schedule))]
    desk.build()
    assert desk.asked_for() == []
    assert desk.state() is ReviewState.SENT


def test_to_stop_wins_over_to_send_until_it_is_built(desk: Desk) -> None:
    desk.write()
    desk.press(ReviewAct.SEND)
    assert desk.press(ReviewAct.STOP) is ReviewState.STOPPED
    assert desk.asked_for() == []


def test_one_that_is_on_its_way_is_ended(desk: Desk) -> None:
    desk.write()
    digest = desk.build()
    assert desk.press(ReviewAct.STOP, NOW + timedelta(hours=1)) is ReviewState.STOPPED
    with desk.database.read() as session:
        assert set(session.scalars(select(Delivery.status))) == {DeliveryStatus.CANCELLED}
        assert session.get_one(Digest, digest.id).status is DigestStatus.CANCELLED


@pytest.mark.parametrize("act", ReviewAct)
def test_of_one_that_has_gone_out_nothing_is_to_be_decided(desk: Desk, act: ReviewAct) -> None:
    desk.write()
    digest = desk.build()
    with desk.database.write() as session:
        session.get_one(Digest, digest.id).status = DigestStatus.SENT
    # Else its page would offer a button that does nothing, again and again.
    assert desk.press(act) is ReviewState.OVER
    with desk.database.read() as session:
        assert session.get_one(Digest, digest.id).status is DigestStatus.SENT


def test_who_was_to_get_one_that_was_ended_gets_its_articles_at_the_next_slot(desk: Desk) -> None:
    desk.write()
    digest = desk.build()
    with desk.database.write() as session:
        first, second = session.scalars(select(Delivery).order_by(Delivery.id))
        first.status = DeliveryStatus.SENT
    for _ in range(2):
        assert desk.press(ReviewAct.STOP) is ReviewState.STOPPED
    following = desk.build("2026-11-25T07:00")
    assert following.status is DigestStatus.SENDING
    # Whoever has had it stays away, and the slot that was stopped has no other digest.
    assert list(got(desk.database, following)) == [second.subscriber_id]
    assert set(got(desk.database, digest)) == {first.subscriber_id, second.subscriber_id}
    assert desk.build().id == digest.id


@pytest.mark.parametrize("act", ReviewAct)
def test_pressed_by_many_at_once_it_is_one_answer(desk: Desk, act: ReviewAct) -> None:
    desk.write()
    ready = threading.Barrier(8)
    found: list[ReviewState] = []

    def press() -> None:
        # All have a connection before the first of them asks for anything.
        with desk.database.read() as session:
            session.execute(select(1))
            ready.wait(120)
        found.append(desk.press(act))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wanted = ReviewState.STOPPED if act is ReviewAct.STOP else ReviewState.ASKED
    assert found == [wanted] * 8
    with desk.database.read() as session:
        slots = session.scalars(select(Digest.slot)).all()
    assert slots == (["2026-11-24T07:00"] if act is ReviewAct.STOP else [])
    desk.build()
    assert desk.build("2026-11-25T07:00").status is (
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
    desk: Desk, change: dict[str, object]
) -> None:
    desk.write()
    with desk.database.write() as session:
        row = session.get_one(Schedule, desk.schedule.id)
        for name, value in change.items():
            setattr(row, name, value)
    for act in ReviewAct:
        assert desk.press(act) is ReviewState.OVER
    assert desk.asked_for() == []
    assert desk.count(Digest) == 0


def test_after_its_time_nothing_happens(desk: Desk) -> None:
    desk.write()
    assert desk.press(ReviewAct.STOP, NOW + timedelta(hours=8)) is ReviewState.OVER
    with desk.database.write() as session, pytest.raises(NotFound):
        review.answer(session, 99999, now=NEAR)
