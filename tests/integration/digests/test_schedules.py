"""Schedules as rows: defaults, edits that fire nothing past, removal that forgets nobody."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.digests.build import slot_claims
from mailer.digests.schedules import schedule_changes, schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slot_named
from mailer.digests.schedules.due_slots import LATE, SUPERSEDED, DueSlots
from mailer.digests.schedules.schedule_options import ScheduleLimits
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    DigestStatus,
    Newsletter,
    Schedule,
    ScheduleKind,
    SignupChoice,
    Subscription,
)
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import NOW

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
EIGHT = NOW + 2 * HOUR
DAILY = Rule(ScheduleKind.DAYS, "UTC", at="07:00")
LATER = Rule(ScheduleKind.DAYS, "UTC", at="09:00")
WEEKLY = Rule(ScheduleKind.DAYS, "UTC", at="07:00", days="sat")


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


def name_of(slot: Slot | None) -> str | None:
    return slot and slot.name


def coming(session: Session, schedule: Schedule, *, now: datetime) -> str | None:
    return name_of(slot_lookup.coming_slot(session, schedule, now=now))


def skipped(due: DueSlots) -> list[tuple[str, str]]:
    return [(one.slot.name, one.reason) for one in due.skipped]


def add(
    session: Session,
    newsletter: Newsletter,
    name: str,
    *,
    default: bool = False,
    now: datetime = NOW,
) -> Schedule:
    limits = ScheduleLimits()
    return schedule_changes.add(session, newsletter, name, DAILY, limits, default=default, now=now)


def edit(session: Session, schedule: Schedule, rule: Rule, *, now: datetime = EIGHT) -> None:
    schedule_changes.edit(session, schedule, rule, ScheduleLimits(), now=now)


def test_the_first_schedule_is_the_default_until_another_becomes_it(session: Session) -> None:
    newsletter = make.newsletter(session)

    def default() -> str:
        found = schedule_lookup.default_of(session, newsletter.id)
        assert found is not None
        return found.name

    add(session, newsletter, "one")
    add(session, newsletter, "two")
    assert default() == "one"
    add(session, newsletter, "three", default=True)
    assert default() == "three"
    schedule_changes.make_default(session, schedule_lookup.find(session, "daily/two")[1])
    assert default() == "two"


@pytest.mark.parametrize("name", ["", "Morning", "a/b", "-x", "x-", "a" * 49, "ünter"])
def test_a_name_stands_in_references(sqlite_database: Database, name: str) -> None:
    with (
        sqlite_database.write() as session,
        pytest.raises(Refused, match="not a valid schedule name"),
    ):
        newsletter = make.newsletter(session)
        add(session, newsletter, name)


def test_a_name_is_free_again_after_removal(session: Session) -> None:
    newsletter = make.newsletter(session)
    first = add(session, newsletter, "one")
    with pytest.raises(AlreadyExists, match="edit daily/one"):
        add(session, newsletter, "one")
    assert schedule_changes.remove(session, first, None, now=NOW) == 0
    with pytest.raises(NotFound):
        schedule_lookup.find(session, "daily/one")
    add(session, newsletter, "one")
    assert [one.name for _, one, _ in schedule_lookup.of_newsletters(session)] == ["one"]


def test_only_slots_after_the_schedule_was_made_exist(session: Session) -> None:
    newsletter = make.newsletter(session)
    late = NOW + 3 * HOUR
    schedule = add(session, newsletter, "one", now=late)
    assert slot_lookup.due(session, schedule, now=late) == DueSlots()
    assert coming(session, schedule, now=late) == "2026-11-25T07:00"


def test_moving_the_time_fires_no_slot_of_the_past(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session), at="23:00")
    noon = NOW + 6 * HOUR
    edit(session, schedule, DAILY, now=noon)
    assert slot_lookup.due(session, schedule, now=noon) == DueSlots()


def test_moving_the_time_does_not_repeat_todays(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    went_out = make.digest(session, schedule, due_at=NOW + HOUR, status=DigestStatus.SENT)
    edit(session, schedule, LATER)
    assert coming(session, schedule, now=EIGHT) == "2026-11-25T09:00"
    assert schedule_lookup.todays_digest(session, schedule, now=EIGHT) is went_out


CRON_CASES = [
    # What went out today by the old rule, the new rule, and what comes next.
    (["07:00"], "0 9 * * *", "2026-11-25T09:00"),
    (["07:00"], "30 9 * * tue", "2026-12-01T09:30"),
    (["07:00"], "0 9,18 * * *", "2026-11-24T18:00"),
    (["07:00"], "0 6,18 * * *", "2026-11-24T18:00"),
    (["06:00", "07:00"], "0 9,18 * * *", "2026-11-25T09:00"),
    (["06:00", "07:00"], "0 9,10,18 * * *", "2026-11-24T18:00"),
    ([], "0 9 * * *", "2026-11-24T09:00"),
    (["07:00"], "0 * * * *", "2026-11-24T09:00"),
]


@pytest.mark.parametrize(("went_out", "line", "next_name"), CRON_CASES)
def test_a_cron_rule_repeats_nothing_of_today(
    sqlite_database: Database, went_out: list[str], line: str, next_name: str
) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(
            session, make.newsletter(session), kind=ScheduleKind.CRON, cron="0 6,7 * * *", at=None
        )
        for at in went_out:
            due_at = NOW + timedelta(hours=int(at[:2]) - 6)
            make.digest(session, schedule, due_at=due_at, status=DigestStatus.SENT)
        # Neither does what was cancelled or skipped count, nor what went out on another day.
        make.digest(session, schedule, due_at=NOW - 2 * HOUR, status=DigestStatus.CANCELLED)
        make.digest(session, schedule, due_at=NOW - 3 * HOUR, status=DigestStatus.SKIPPED)
        make.digest(session, schedule, due_at=NOW - DAY, status=DigestStatus.SENT)
        rule = Rule(ScheduleKind.CRON, "UTC", cron=line)
        edit(session, schedule, rule)
        assert coming(session, schedule, now=EIGHT) == next_name


def test_another_zone_does_not_repeat_todays(sqlite_database: Database) -> None:
    seven = NOW + HOUR
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), at="06:00", zone="Asia/Yerevan")
        # 06:00 in Yerevan is 02:00 UTC, and the same date in Rome.
        make.digest(session, schedule, due_at=NOW - 4 * HOUR, slot="2026-11-24T06:00")
        rome = Rule(ScheduleKind.DAYS, "Europe/Rome", at="09:00")
        edit(session, schedule, rome, now=seven)
        assert coming(session, schedule, now=seven) == "2026-11-25T09:00"


def test_an_edit_while_todays_is_being_built_does_not_repeat_it(database: Database) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
    edited = threading.Event()

    def edit_meanwhile() -> None:
        with database.write() as session:
            mine = session.get_one(Schedule, schedule.id)
            edit(session, mine, LATER)
        edited.set()

    with database.write() as session:
        make.digest(session, schedule, due_at=NOW + HOUR, status=DigestStatus.BUILDING)
        thread = threading.Thread(target=edit_meanwhile)
        thread.start()
        # It waits for the builder, whose transaction is not over.
        assert not edited.wait(0.3)
    thread.join(30)
    with database.read() as session:
        assert (
            coming(session, session.get_one(Schedule, schedule.id), now=EIGHT) == "2026-11-25T09:00"
        )


def test_a_schedule_is_not_changed_while_its_slot_is_being_taken(
    postgresql_database: Database,
) -> None:
    """A builder that has read the schedule before staff changed it asks again, and then takes nothing."""
    with postgresql_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
    slot = slot_named(DAILY, "2026-11-24T07:00")
    assert slot is not None
    with postgresql_database.write() as builder:
        stale = builder.get_one(Schedule, schedule.id)
        with postgresql_database.write() as staff:
            mine = staff.get_one(Schedule, schedule.id)
            edit(staff, mine, LATER)
        with pytest.raises(Refused, match="no longer counts"):
            slot_claims.claim_slot(
                builder, stale, slot, builder_id=1, live_builders=lambda _: [1], now=EIGHT
            )


def test_changing_limits_leaves_a_due_slot_due(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    schedule_changes.edit(session, schedule, DAILY, ScheduleLimits(max_articles=5), now=EIGHT)
    assert schedule.max_articles == 5
    due = slot_lookup.due(session, schedule, now=EIGHT)
    assert name_of(due.build) == "2026-11-24T07:00"


def test_a_paused_schedule_has_no_slots_and_resuming_makes_up_for_none(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    schedule_changes.pause(session, schedule, now=NOW)
    assert slot_lookup.coming_slot(session, schedule, now=NOW) is None
    schedule_changes.resume(session, schedule, now=EIGHT)
    assert slot_lookup.due(session, schedule, now=EIGHT) == DueSlots()
    assert coming(session, schedule, now=EIGHT) == "2026-11-25T07:00"


def test_resuming_does_not_repeat_todays_at_another_time(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    make.digest(session, schedule, due_at=NOW + HOUR, status=DigestStatus.SENT)
    edit(session, schedule, LATER)
    schedule_changes.pause(session, schedule, now=EIGHT)
    schedule_changes.resume(session, schedule, now=EIGHT)
    assert coming(session, schedule, now=EIGHT) == "2026-11-25T09:00"


def test_resuming_what_is_not_paused_loses_no_slot(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    schedule_changes.resume(session, schedule, now=EIGHT)
    assert slot_lookup.due(session, schedule, now=EIGHT).build is not None


def test_removal_moves_readers_and_sign_ups(database: Database, keys: Keys) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        daily = make.schedule(session, newsletter, "daily")
        weekly = make.schedule(session, newsletter, "weekly", days="sat")
        reader = make.reader(session, keys, daily, "in@example.com")
        left = make.reader(session, keys, daily, "left@example.com", left_at=NOW)
        make.signup(session, keys, daily)
        with pytest.raises(Refused, match="1 reader and 1 sign-up are on it"):
            schedule_changes.remove(session, daily, None, now=NOW)
        assert schedule_changes.remove(session, daily, weekly, now=NOW) == 1
        assert weekly.is_default
        event = session.scalars(select(ConsentEvent)).one()
        assert (event.kind, event.address) == (ConsentKind.CHANGED, "in@example.com")
        assert event.schedule_id == weekly.id
    with database.read() as session:
        assert session.get_one(Subscription, reader.id).schedule_id == weekly.id
        assert session.get_one(Subscription, left.id).schedule_id == weekly.id
        assert session.scalars(select(SignupChoice.schedule_id)).all() == [weekly.id]


def test_sign_ups_that_are_over_keep_no_schedule(session: Session, keys: Keys) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    make.reader(session, keys, schedule, "left@example.com", left_at=NOW)
    make.signup(session, keys, schedule, "left@example.com", confirmed_at=NOW)
    make.signup(session, keys, schedule, "other@example.com", dropped_at=NOW)
    make.signup(session, keys, schedule, "late@example.com", expires_at=NOW)
    assert schedule_changes.remove(session, schedule, None, now=NOW) == 0
    assert schedule.removed_at == NOW


def test_readers_move_only_within_their_newsletter(session: Session) -> None:
    mine = make.schedule(session, make.newsletter(session, "one"))
    other = make.schedule(session, make.newsletter(session, "other"))
    with pytest.raises(Refused, match="another newsletter"):
        schedule_changes.remove(session, mine, other, now=NOW)
    with pytest.raises(Refused, match="another one"):
        schedule_changes.remove(session, mine, mine, now=NOW)


@pytest.mark.parametrize("reference", ["daily", "daily/none", "none/morning", "/", ""])
def test_a_reference_to_nothing(sqlite_database: Database, reference: str) -> None:
    with sqlite_database.write() as session:
        make.schedule(session, make.newsletter(session))
        with pytest.raises(NotFound):
            schedule_lookup.find(session, reference)


def test_a_name_alone_stands_for_the_only_schedule_it_can_mean(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        for slug, name in (("courier", "daily"), ("courier", "late"), ("post", "late")):
            newsletter = session.scalar(select(Newsletter).where(Newsletter.slug == slug))
            make.schedule(session, newsletter or make.newsletter(session, slug), name)
        newsletter, schedule = schedule_lookup.find(session, "daily")
        assert (newsletter.slug, schedule.name) == ("courier", "daily")
        with pytest.raises(NotFound, match=r"did you mean courier/late or post/late\?"):
            schedule_lookup.find(session, "late")
        with pytest.raises(NotFound, match=r"did you mean post/late\?"):
            schedule_lookup.find(session, "post")
        # A newsletter of the same name may be what was meant.
        make.schedule(session, make.newsletter(session, "daily"), "morning")
        with pytest.raises(NotFound, match=r"did you mean courier/daily or daily/morning\?"):
            schedule_lookup.find(session, "daily")


def test_what_is_due_after_a_stop(session: Session) -> None:
    schedule = make.schedule(
        session, make.newsletter(session), active_from=NOW - 4 * DAY, zone="Europe/Paris"
    )
    make.digest(session, schedule, due_at=NOW - 3 * DAY, slot="2026-11-21T07:00")
    due = slot_lookup.due(session, schedule, now=NOW + 5 * HOUR)
    assert name_of(due.build) == "2026-11-24T07:00"
    assert skipped(due) == [
        ("2026-11-22T07:00", SUPERSEDED),
        ("2026-11-23T07:00", SUPERSEDED),
    ]
    due = slot_lookup.due(session, schedule, now=NOW + 7 * HOUR)
    assert due.build is None
    assert due.skipped[-1].reason == LATE


def test_what_was_decided_about_a_day_is_not_decided_again(sqlite_database: Database) -> None:
    """Of many slots missed in one day one is recorded, and the others stay skipped."""
    with sqlite_database.write() as session:
        schedule = make.schedule(
            session, make.newsletter(session), kind=ScheduleKind.CRON, cron="0 * * * *", at=None,
            active_from=NOW - 5 * HOUR,
        )  # fmt: skip
        make.digest(session, schedule, due_at=NOW - 2 * HOUR)
        assert slot_lookup.due(session, schedule, now=NOW - HOUR - HOUR / 2) == DueSlots()


def test_an_edit_after_a_digest_fires_no_slot_between(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW + 2 * HOUR)
        make.digest(session, schedule, due_at=NOW - 23 * HOUR)
        assert slot_lookup.due(session, schedule, now=EIGHT) == DueSlots()


def test_slots_before_one_that_was_built_early_are_recorded(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), active_from=NOW)
        early = make.digest(session, schedule, due_at=NOW + DAY + HOUR)
        early.created_at = NOW
        due = slot_lookup.due(session, schedule, now=NOW + DAY + 2 * HOUR)
        assert due.build is None
        assert skipped(due) == [("2026-11-24T07:00", SUPERSEDED)]


def test_a_digest_built_early_leaves_the_slots_before_it_due(session: Session) -> None:
    schedule = make.schedule(session, make.newsletter(session))
    early = make.digest(session, schedule, due_at=NOW + 2 * DAY + timedelta(hours=1))
    early.created_at = NOW
    due = slot_lookup.due(session, schedule, now=NOW + HOUR)
    assert name_of(due.build) == "2026-11-24T07:00"
    assert (
        name_of(slot_lookup.next_free_slot(session, schedule, now=NOW + 2 * DAY))
        == "2026-11-27T07:00"
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-11-25T07:00", "2026-11-25T07:00"),
        ("2026-11-25 07:00", "2026-11-25T07:00"),
        ("2026-11-25T07:00:00", "2026-11-25T07:00"),
        ("2026-11-25T06:00Z", "2026-11-25T07:00"),
        ("2026-11-25T07:00+01:00", "2026-11-25T07:00"),
    ],
)
def test_a_slot_is_named_by_its_local_time_or_its_instant(
    sqlite_database: Database, text: str, name: str
) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), zone="Europe/Paris")
        assert slot_lookup.parse_slot(schedule, text).name == name


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("soon", "Europe/Paris"),
        ("2026-11-25", "Europe/Paris"),
        ("2026-11-25T08:00", "Europe/Paris"),
        ("2026-11-25T07:00Z", "Europe/Paris"),
        # Beyond these there are no dates to reckon with.
        ("0001-01-01T00:00Z", "Europe/Paris"),
        ("9999-12-31T23:59", "America/New_York"),
    ],
)
def test_a_slot_that_the_schedule_does_not_have(
    sqlite_database: Database, text: str, zone: str
) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), zone=zone)
        with pytest.raises(Refused, match="slot"):
            slot_lookup.parse_slot(schedule, text)


def test_the_slot_of_a_digest_outlives_an_edit(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        digest = make.digest(session, schedule, due_at=NOW + HOUR)
        edit(session, schedule, WEEKLY, now=NOW)
        slot = slot_lookup.slot_of(digest, schedule)
        assert (slot.name, slot.due_at) == ("2026-11-24T07:00", digest.due_at)
