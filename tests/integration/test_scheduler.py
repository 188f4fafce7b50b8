"""The scheduler: builds what is due, sets alarms at slots, takes over, and notices a clock that is set."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, text

from mailer.app import App
from mailer.clock import Times, utc_now
from mailer.database_copies.resume import resume
from mailer.db import Database
from mailer.errors import BadTemplate
from mailer.feeds.context import FeedContext
from mailer.ledger import fence
from mailer.models import (
    ConsentEvent,
    Delivery,
    Digest,
    DigestStatus,
    EditionArticle,
    Feed,
    Newsletter,
    Notice,
    NoticeKind,
    Review,
    Schedule,
    Signup,
    Suppression,
    WorkerRole,
)
from mailer.scheduler import Scheduler
from mailer.scheduler.feed_polling import stale_feeds
from mailer.scheduler.step_runner import StepRunner
from mailer.settings import load
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.waiting import wait_until


class Wall:
    """A wall clock that runs like the real one, from a moment that a test sets."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - utc_now()

    def set(self, moment: datetime) -> None:
        self._ahead = moment - utc_now()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead


def app_at(database: Database, keys: Keys, wall: Callable[[], datetime], **more: str) -> App:
    settings = load(
        {
            "MAILER_SECRET_KEY": "s" * 40,
            "MAILER_IDENTITY_KEY": "i" * 40,
            "MAILER_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "MAILER_LEASE": "2s",
            **{f"MAILER_{name.upper()}": value for name, value in more.items()},
        },
        None,
    )
    return App(settings, database, keys, Times(wall=wall))


@pytest.fixture
def started() -> Iterator[Callable[[App], Scheduler]]:
    """Starts schedulers, and stops them whatever happens."""
    running: list[Scheduler] = []

    def start(app: App) -> Scheduler:
        scheduler = Scheduler(app)
        scheduler.start()
        running.append(scheduler)
        return scheduler

    yield start
    for scheduler in running:
        scheduler.stop()


def statuses(database: Database) -> list[tuple[str, DigestStatus]]:
    with database.read() as session:
        rows = session.execute(select(Digest.slot, Digest.status).order_by(Digest.due_at))
        return [(slot, status) for slot, status in rows]


def test_it_builds_what_is_due_when_it_starts_and_when_time_passes(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        daily = make.schedule(session, newsletter, active_from=NOW)
        make.schedule(session, newsletter, "paused", paused_at=NOW)
        make.schedule(session, newsletter, "removed", removed_at=NOW)
        make.article(session, newsletter)
        make.readers(session, keys, daily, 3)
    wall = Wall(NOW + timedelta(hours=1, minutes=1))
    started(app_at(database, keys, wall))
    wait_until(lambda: statuses(database) == [("2026-11-24T07:00", DigestStatus.SENDING)])
    wall.set(NOW + timedelta(days=1, hours=1))
    wait_until(lambda: ("2026-11-25T07:00", DigestStatus.SKIPPED) in statuses(database))


def test_in_a_restored_database_it_builds_nothing_until_staff_resume(
    sqlite_database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    database = sqlite_database
    with database.write() as session:
        daily = make.schedule(session, newsletter := make.newsletter(session), active_from=NOW)
        make.article(session, newsletter)
        make.readers(session, keys, daily, 3)
        fence.put_up(session, backup_at=NOW, now=NOW)
    app = app_at(database, keys, Wall(NOW + timedelta(hours=1, minutes=1)))
    scheduler = started(app)
    for step in (scheduler._sweep, partial(scheduler._build_due, daily.id)):
        step()
    assert statuses(database) == []
    with database.write() as session:
        resume(session, count_as_had=False, now=NOW + timedelta(hours=1))
    scheduler._sweep()
    wait_until(lambda: statuses(database) == [("2026-11-24T07:00", DigestStatus.SENDING)])


def test_after_a_stop_the_slot_that_was_first_is_built_first(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    # Alarms go off by the machine's clock: at these slots none does before the test is over.
    far_off = NOW.replace(year=NOW.year + 50)
    with database.write() as session:
        newsletter = make.newsletter(session)
        for name, at in (("late", "07:30"), ("early", "07:00"), ("between", "07:15")):
            make.schedule(session, newsletter, name, at=at, active_from=far_off)
        make.article(session, newsletter)
    started(app_at(database, keys, Wall(far_off + timedelta(hours=2))))
    wait_until(lambda: len(statuses(database)) == 3)
    with database.read() as session:
        built = session.scalars(select(Digest.slot).order_by(Digest.id)).all()
    assert [slot[-5:] for slot in built] == ["07:00", "07:15", "07:30"]


def test_it_is_woken_at_the_next_slot_of_each_schedule(
    sqlite_database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=utc_now())
    scheduler = started(app_at(sqlite_database, keys, utc_now))
    # APScheduler's own list, because waiting for a slot takes up to a minute.
    alarms = scheduler._alarms

    def alarm() -> datetime | None:
        job = alarms.get_job(f"slot of schedule {schedule.id}")
        return job and job.next_run_time

    wait_until(alarm)
    set_for = alarm()
    assert set_for is not None
    assert (set_for.hour, set_for.minute, set_for.second) == (7, 0, 0)
    assert timedelta() < set_for - utc_now() <= timedelta(days=1)


def test_two_schedulers_make_one_digest(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedules = [
            make.schedule(session, newsletter, f"s{number}", active_from=NOW) for number in range(4)
        ]
        make.article(session, newsletter)
        for number, schedule in enumerate(schedules):
            make.reader(session, keys, schedule, f"reader{number}@example.com")
    wall = Wall(NOW + timedelta(hours=1, minutes=1))
    for _ in range(2):
        started(app_at(database, keys, wall))
    wait_until(lambda: [status for _, status in statuses(database)] == [DigestStatus.SENDING] * 4)


def test_it_takes_over_what_a_dead_builder_left(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW)
        dead = make.worker(session, WorkerRole.BUILDER)
        make.digest(session, schedule, status=DigestStatus.BUILDING, builder_id=dead.id)
    started(app_at(database, keys, Wall(NOW)))
    wait_until(lambda: statuses(database) == [("2026-11-24T06:00", DigestStatus.SKIPPED)])


def test_it_closes_digests_and_deletes_what_is_too_old(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW)
        make.digest(session, schedule)
        make.signup(session, keys, schedule, expires_at=NOW - timedelta(days=60))
        make.consent_event(session, keys, at=NOW - timedelta(days=1095), ip="192.0.2.7")
        long_ago = NOW - timedelta(days=2)
        make.notice(session, keys, status="sent", outcome_at=long_ago)
    started(app_at(database, keys, Wall(NOW)))

    def tidied() -> bool:
        with database.read() as session:
            signups = session.scalar(select(func.count()).select_from(Signup))
            clients = session.scalar(select(func.count(ConsentEvent.ip)))
            notices = session.scalar(select(func.count()).select_from(Notice))
            digest = session.scalars(select(Digest.status)).one()
            return (signups, clients, notices, digest) == (0, 0, 0, "sent")

    wait_until(tidied)


def test_it_reads_what_the_relay_refused_and_stops_what_bounces(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    refused = {"code": 550, "step": "rcpt", "reply": "5.1.1 No such user", "status": "failed"}
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedules = [
            make.schedule(session, newsletter, name, active_from=NOW)
            for name in ("good", "bad", "waiting")
        ]
        good, bad, waiting = schedules
        many = make.edition(session, make.digest(session, good))
        few = make.edition(session, make.digest(session, bad))
        for schedule, number in ((good, 190), (bad, 11), (waiting, 1)):
            make.many_readers(session, keys, schedule, number, f"{schedule.name}.example")
        make.deliveries(session, many, good)
        make.deliveries(session, many, bad, **refused)
        make.deliveries(session, many, waiting, status="queued")
        make.deliveries(session, few, bad, **refused)
        # The relay took one of it: so those that it refused are the readers'.
        make.deliveries(session, few, waiting)
    started(app_at(database, keys, Wall(NOW)))

    def settled() -> bool:
        with database.read() as session:
            states = session.scalars(select(Digest.status).order_by(Digest.id)).all()
            suppressed = session.scalar(select(func.count()).select_from(Suppression))
            return (list(states), suppressed) == (["paused", "sent"], 11)

    wait_until(settled)


class SetClock(datetime):
    """The real clock, as APScheduler reads it, set by so much."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + cls.ahead

    @classmethod
    def utc(cls) -> datetime:
        return cls.now(UTC)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the clock that this process and APScheduler go by; waits are measured as ever."""
    for name in ("schedulers.base", "triggers.interval", "triggers.date"):
        monkeypatch.setattr(f"apscheduler.{name}.datetime", SetClock)
    monkeypatch.setattr("mailer.scheduler.scheduler.utc_now", SetClock.utc)
    monkeypatch.setattr("mailer.scheduler.scheduler._WATCH_SECONDS", 0.05)
    monkeypatch.setattr(SetClock, "ahead", timedelta())
    return lambda ahead: monkeypatch.setattr(SetClock, "ahead", ahead)


@pytest.mark.parametrize("hours", [-1, -24])
def test_a_clock_that_is_set_back_lets_no_slot_wait(
    sqlite_database: Database, keys: Keys, set_clock: Callable[[timedelta], None], hours: int
) -> None:
    """By the clock alone, nothing would be looked at again before it is as late as it was."""
    swept = threading.Event()
    scheduler = Scheduler(app_at(sqlite_database, keys, SetClock.utc))
    sweep = scheduler._finish_digests
    scheduler._finish_digests = lambda: (sweep(), swept.set())  # type: ignore[assignment,func-returns-value]
    scheduler.start()
    try:
        assert swept.wait()
        set_clock(timedelta(hours=hours))
        due_at = (SetClock.utc() - timedelta(minutes=2)).replace(second=0, microsecond=0)
        with sqlite_database.write() as session:
            make.schedule(
                session, make.newsletter(session), at=f"{due_at:%H:%M}",
                active_from=due_at - timedelta(hours=1),
            )  # fmt: skip
        built = [(f"{due_at:%Y-%m-%dT%H:%M}", DigestStatus.SKIPPED)]
        wait_until(lambda: statuses(sqlite_database) == built)
    finally:
        scheduler.stop()


def test_the_alarm_of_a_slot_builds_it(
    sqlite_database: Database, keys: Keys, started: Callable[[App], Scheduler],
    set_clock: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Without a look in between, which comes too late here."""
    monkeypatch.setattr("mailer.scheduler.scheduler.SWEEP", timedelta(hours=1))
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW)
    seven = NOW + timedelta(hours=1)
    set_clock(seven - timedelta(seconds=3) - utc_now())
    started(app_at(sqlite_database, keys, SetClock.utc, lease="4h"))
    wait_until(lambda: statuses(sqlite_database) == [("2026-11-24T07:00", DigestStatus.SKIPPED)])
    with sqlite_database.read() as session:
        digest = session.scalars(select(Digest).where(Digest.schedule_id == schedule.id)).one()
        assert timedelta() <= digest.created_at - seven < timedelta(minutes=1)


def test_a_failure_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = StepRunner(threading.Event())

    def fail() -> Any:
        raise BadTemplate("digest.html, line 3: no end")

    def break_down() -> Any:
        raise RuntimeError("unforeseen")

    for _ in range(3):
        steps.run("schedule 1", fail)
    for _ in range(3):
        steps.run("schedule 1", break_down)
    steps.run("schedule 1", lambda: None)
    steps.run("schedule 1", fail)
    assert [record.message for record in caplog.records] == [
        "schedule 1: digest.html, line 3: no end",
        "schedule 1 failed; it is tried again",
        "schedule 1: digest.html, line 3: no end",
    ]


def test_what_fails_in_a_sweep_fails_alone(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template breaks in one language, a zone was abolished, and a row is damaged."""
    render = Templates.render

    def render_no_arabic(self: Templates, name: str, language: str, *more: Any) -> str:
        if language == "ar":
            raise BadTemplate("no end")
        return render(self, name, language, *more)

    monkeypatch.setattr(Templates, "render", render_no_arabic)
    with sqlite_database.write() as session:
        broken = make.newsletter(session, "broken", language="ar")
        sound = make.newsletter(session, "sound")
        new: dict[str, Any] = {"active_from": NOW}
        soon = timedelta(days=1)
        gone = make.schedule(session, broken, "late", zone="Nowhere/Gone", review=soon, **new)
        make.review(session, gone, send_asked_at=NOW)
        damaged = make.schedule(session, broken, "damaged", **new)
        session.execute(text("UPDATE schedule SET kind = 'x' WHERE id = :id"), {"id": damaged.id})
        late = make.schedule(session, sound, "late", at="06:30", **new)
        make.reader(session, keys, late, "late@example.com")
        for newsletter in (broken, sound):
            make.article(session, newsletter)
            asked = make.schedule(session, newsletter, "asked", **new)
            make.review(session, asked, send_asked_at=NOW)
            reviewed = make.schedule(session, newsletter, "reviewed", review=soon, **new)
            sent = make.schedule(session, newsletter, "sent", at="23:00", **new)
            make.digest(session, sent, status=DigestStatus.SENT)
            for schedule in (asked, reviewed):
                make.reader(session, keys, schedule, f"{newsletter.slug}{schedule.id}@example.com")
    wall = Wall(NOW + timedelta(minutes=31))
    scheduler = Scheduler(app_at(sqlite_database, keys, wall, staff_address="desk@news.example"))
    with scheduler._builder:
        scheduler._sweep()
    with sqlite_database.read() as session:
        built = session.scalars(
            select(Schedule.name)
            .join(Digest, Digest.schedule_id == Schedule.id)
            .where(Digest.status == DigestStatus.SENDING)
            .order_by(Schedule.name)
        ).all()
        # Slots that were skipped as late are told as well, by alerts.
        kinds = session.scalars(
            select(Notice.kind)
            .where(Notice.newsletter_id == sound.id, Notice.kind != NoticeKind.ALERT)
            .order_by(Notice.kind)
        ).all()
    assert built == ["asked", "late"]
    assert kinds == [NoticeKind.REPORT, NoticeKind.REVIEW]


def test_feeds_are_fetched_when_it_is_their_turn_and_before_a_slot(
    database: Database, keys: Keys, started: Callable[[App], Scheduler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fetched: list[tuple[int, bool]] = []

    def refresh(context: FeedContext, feed_ids: list[int], **given: Any) -> list[object]:
        with database.write() as session:
            for feed_id in feed_ids:
                fetched.append((feed_id, given["unconditional"]))
                feed = session.get_one(Feed, feed_id)
                feed.last_fetched_at = context.clock()
                feed.next_fetch_at = context.clock() + timedelta(hours=5)
        return []

    monkeypatch.setattr("mailer.scheduler.feed_polling.refresh.refresh", refresh)
    with database.write() as session:
        newsletter = make.newsletter(session)
        make.schedule(session, newsletter, active_from=NOW)
        later = NOW + timedelta(hours=5)
        mine = make.feed(session, newsletter, next_fetch_at=later, last_fetched_at=NOW)
        other = make.feed(session, next_fetch_at=later, last_fetched_at=NOW)
        due = make.feed(session, next_fetch_at=NOW, last_fetched_at=NOW)
        # One that is gone, and one whose server asks for peace: neither is asked, not for a slot either.
        make.feed(session, newsletter, next_fetch_at=NOW, last_fetched_at=NOW, gone_at=NOW)
        busy_until = NOW + timedelta(hours=2)
        make.feed(
            session, newsletter, next_fetch_at=busy_until, last_fetched_at=NOW, retry_at=busy_until
        )
    wall = Wall(NOW + timedelta(minutes=50))
    scheduler = started(app_at(database, keys, wall))

    def poll() -> None:
        wait_until(lambda: not scheduler._feeds._one_at_a_time.locked())
        scheduler._feeds.poll()

    wait_until(lambda: fetched == [(due.id, False)])
    poll()
    assert fetched == [(due.id, False)]
    wall.set(NOW + timedelta(minutes=56))
    for _ in range(2):
        poll()
    assert fetched == [(due.id, False), (mine.id, True)]
    wall.set(NOW + timedelta(minutes=59, seconds=45))
    for _ in range(2):
        poll()
    assert fetched == [(due.id, False), (mine.id, True), (mine.id, True)]
    assert other.id not in {feed_id for feed_id, _ in fetched}


def test_no_slot_takes_a_feed_for_fresh_that_was_fetched_by_a_clock_that_was_ahead(
    sqlite_database: Database,
) -> None:
    ahead = NOW + timedelta(days=400)
    with sqlite_database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW)
        feed = make.feed(session, newsletter, last_fetched_at=ahead, retry_at=ahead)
        fetch = partial(stale_feeds, session, schedule.id, NOW - timedelta(minutes=5))
        assert [fetch(NOW), fetch(ahead)] == [[feed.id], []]


def test_a_slot_that_was_missed_is_built_on_fresh_feeds(
    database: Database, keys: Keys, started: Callable[[App], Scheduler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """An article that came out while nothing ran is in the digest that is made up for."""

    def refresh(context: FeedContext, feed_ids: list[int], **given: Any) -> list[object]:
        with database.write() as session:
            for feed_id in feed_ids:
                session.get_one(Feed, feed_id).last_fetched_at = context.clock()
                make.article(session, session.scalars(select(Newsletter)).one())
        return []

    monkeypatch.setattr("mailer.scheduler.feed_polling.refresh.refresh", refresh)
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW)
        make.feed(session, newsletter, next_fetch_at=NOW + timedelta(days=1), last_fetched_at=NOW)
        make.reader(session, keys, schedule)
    started(app_at(database, keys, Wall(NOW + timedelta(hours=2))))
    wait_until(lambda: statuses(database) == [("2026-11-24T07:00", DigestStatus.SENDING)])


def test_a_slot_waits_for_a_feed_that_another_scheduler_fetches(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.scheduler.feed_polling._LOOK_AGAIN_SECONDS", 0.01)
    chosen: list[datetime] = []

    def refresh(context: FeedContext, feed_ids: list[int], **given: Any) -> list[object]:
        chosen.append(given["chosen_at"])
        if len(chosen) == 2:
            # The other one has done it.
            with database.write() as session:
                session.get_one(Feed, feed_ids[0]).last_fetched_at = context.clock()
                make.article(session, session.scalars(select(Newsletter)).one())
        return []

    monkeypatch.setattr("mailer.scheduler.feed_polling.refresh.refresh", refresh)
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW)
        make.feed(session, newsletter)
        make.reader(session, keys, schedule)
    scheduler = Scheduler(app_at(database, keys, Wall(NOW + timedelta(hours=1, minutes=1))))
    with scheduler._builder:
        scheduler._build_due(schedule.id)
    assert statuses(database) == [("2026-11-24T07:00", DigestStatus.SENDING)]
    assert len(chosen) == 2


@pytest.mark.parametrize("under_way", [True, False])
def test_a_slot_does_not_wait_for_ever_for_its_feeds(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, under_way: bool,
) -> None:  # fmt: skip
    """Neither for a fetch that another thread has begun, nor for its own, one slow feed after the other."""
    monkeypatch.setattr("mailer.scheduler.feed_polling.WAIT_FOR_FEEDS", timedelta(seconds=0.3))
    begun: list[int] = []

    def refresh(context: FeedContext, feed_ids: list[int], **given: Any) -> list[object]:
        begun.extend(feed_ids)
        wait_until(given["is_draining"])
        return []

    monkeypatch.setattr("mailer.scheduler.feed_polling.refresh.refresh", refresh)
    with sqlite_database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW)
        feed = make.feed(session, newsletter)
        make.article(session, newsletter)
        make.reader(session, keys, schedule)
    scheduler = Scheduler(app_at(sqlite_database, keys, Wall(NOW + timedelta(hours=1, minutes=1))))
    if under_way:
        scheduler._feeds._one_at_a_time.acquire()
    with scheduler._builder:
        scheduler._build_due(schedule.id)
    assert statuses(sqlite_database) == [("2026-11-24T07:00", DigestStatus.SENDING)]
    assert begun == ([] if under_way else [feed.id])
    assert "slot 2026-11-24T07:00 is built without feeds" in caplog.text


@pytest.mark.parametrize("hours", [1, -1, 24, -24])
def test_a_clock_that_is_set_and_set_right_again_makes_one_digest_a_slot(
    sqlite_database: Database, keys: Keys, hours: int
) -> None:
    """A scheduler lives through four days; on two of them the clock is wrong around the slot."""
    with sqlite_database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW)
        reader = make.reader(session, keys, schedule)
    moment = [NOW]
    scheduler = Scheduler(app_at(sqlite_database, keys, lambda: moment[0]))
    days = [NOW + timedelta(days=day) for day in range(4)]
    articles = []
    with scheduler._builder:
        for day, morning in enumerate(days):
            for hour in (0, 1, 2, 5):
                with sqlite_database.write() as session:
                    published = morning - timedelta(days=2)
                    articles.append(make.article(session, newsletter, published_at=published).id)
                wrong = day % 2 == 0 and hour in (0, 1)
                moment[0] = morning + timedelta(hours=hour + (hours if wrong else 0), minutes=30)
                scheduler._sweep()
        moment[0] = days[-1] + timedelta(days=1, hours=1)
        scheduler._sweep()
    with sqlite_database.read() as session:
        slots = session.scalars(select(Digest.slot)).all()
        had = session.scalars(
            select(EditionArticle.article_id)
            .join(Delivery, Delivery.edition_id == EditionArticle.edition_id)
            .where(Delivery.subscription_id == reader.id)
        ).all()
    assert sorted(slots) == sorted(set(slots))
    assert {f"{day:%Y-%m-%d}T07:00" for day in days} <= set(slots)
    assert sorted(had) == articles


def test_however_many_schedulers_run_staff_gets_one_review_and_one_report(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, active_from=NOW, review=timedelta(minutes=30))
        weekly = make.schedule(session, newsletter, "weekly", days="sat", active_from=NOW)
        make.article(session, newsletter)
        make.readers(session, keys, schedule, 2)
        # Its last mail was sent, and whoever sent it was killed before the digest was closed.
        old = make.digest(session, weekly, due_at=NOW - timedelta(days=1))
        edition = make.edition(session, old)
        reader = make.reader(session, keys, weekly, "weekly@example.com")
        make.delivery(session, edition, reader, status="sent")
    wall = Wall(NOW + timedelta(minutes=40))
    for _ in range(3):
        started(app_at(database, keys, wall, staff_address="desk@news.example"))

    def told() -> list[str]:
        with database.read() as session:
            return sorted(
                session.scalars(select(Notice.kind).where(Notice.address == "desk@news.example"))
            )

    wait_until(lambda: told() == [NoticeKind.REPORT, NoticeKind.REVIEW])
    with database.write() as session:
        session.scalars(select(Review)).one().send_asked_at = NOW
    wait_until(lambda: ("2026-11-24T07:00", DigestStatus.SENDING) in statuses(database))
    assert told() == [NoticeKind.REPORT, NoticeKind.REVIEW]
    assert len(statuses(database)) == 2


def test_without_staff_nothing_is_told_and_nothing_waits_to_be(
    database: Database, keys: Keys, started: Callable[[App], Scheduler]
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW)
        make.digest(session, schedule, status=DigestStatus.SENT, finished_at=NOW)
    started(app_at(database, keys, Wall(NOW)))

    def reported() -> bool:
        with database.read() as session:
            return session.scalars(select(Digest.reported_at)).one() is not None

    wait_until(reported)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Notice)) == 0
