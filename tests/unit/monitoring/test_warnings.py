"""What `mailer status` says of coming slots, and what it warns of: missed slots, and what is not set up."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from mailer.bounces.intake.fetch_record import record_fetch
from mailer.db import Database
from mailer.ledger import fence
from mailer.models import ClientRequest, DigestStatus, ScheduleKind, WorkerRole
from mailer.monitoring.status import read_status
from mailer.monitoring.warnings import all_warnings, mailbox_warnings, overdue_warnings
from tests.support import factories
from tests.support.factories import NOW

LEASE = timedelta(minutes=1)
SLOT = NOW.replace(hour=7, minute=0, second=0, microsecond=0)
MISSED = f"the digest of daily/morning for {SLOT:%a %Y-%m-%d} 07:00 UTC"

STILL = f"{MISSED} is not built; start `mailer run`, and it still goes out"
TOO_LATE = (
    f"{MISSED} was not built, and now it is too late for it; "
    "start `mailer run`, or the next one is missed too"
)


def overdue(database: Database, now: datetime) -> list[str]:
    with database.read() as session:
        return overdue_warnings(read_status(session, lease=LEASE, now=now), now)


def setup_warnings(
    database: Database,
    *,
    has_staff_address: bool = True,
    has_trusted_proxies: bool = True,
    relay_signs_dkim: bool = True,
    dkim_domain: str | None = None,
    now: datetime = NOW,
) -> list[str]:
    """The warnings of an installation that is set up but for this."""
    with database.read() as session:
        return all_warnings(
            session,
            read_status(session, lease=LEASE, now=now),
            now=now,
            has_staff_address=has_staff_address,
            has_trusted_proxies=has_trusted_proxies,
            dkim_domain=dkim_domain,
            relay_signs_dkim=relay_signs_dkim,
            local_url=None,
        )


def coming(database: Database, now: datetime) -> dict[str, str | None]:
    with database.read() as session:
        status = read_status(session, lease=LEASE, now=now)
    return {one.schedule: one.slot for one in status.next}


@pytest.mark.parametrize(
    ("minutes", "builds", "words"),
    [
        (-1, False, None),
        (1, False, STILL),
        (361, False, TOO_LATE),
        (9, True, None),
        (10, True, f"{MISSED} is not built yet; the log of `mailer run` says why"),
        # A scheduler writes that down in a moment.
        (361, True, None),
    ],
)
def test_a_slot_that_nobody_built_is_told(
    database: Database, minutes: int, builds: bool, words: str | None
) -> None:
    now = SLOT + timedelta(minutes=minutes)
    with database.write() as session:
        factories.schedule(
            session, factories.newsletter(session), active_from=SLOT - timedelta(hours=1)
        )
        factories.worker(session, WorkerRole.SENDER, heartbeat_at=now)
        if builds:
            factories.worker(session, WorkerRole.BUILDER, heartbeat_at=now)
    assert overdue(database, now) == ([] if words is None else [words])


def test_after_a_restore_nobody_is_told_that_a_slot_still_goes_out(database: Database) -> None:
    """It may have gone out after the backup: `mailer resume` shows which have."""
    now = SLOT + timedelta(minutes=1)
    with database.write() as session:
        factories.schedule(
            session, factories.newsletter(session), active_from=SLOT - timedelta(hours=1)
        )
        factories.worker(session, WorkerRole.SENDER, heartbeat_at=now)
    assert STILL in setup_warnings(database, now=now)
    with database.write() as session:
        fence.put_up(session, backup_at=NOW, now=now)
    warnings = setup_warnings(database, now=now)
    assert STILL not in warnings
    assert any("restored from a backup" in warning for warning in warnings)


def test_a_slot_that_has_its_digest_or_is_paused_is_not_missed(database: Database) -> None:
    now = SLOT + timedelta(hours=1)
    with database.write() as session:
        newsletter = factories.newsletter(session)
        since = SLOT - timedelta(hours=1)
        built = factories.schedule(session, newsletter, active_from=since)
        factories.digest(session, built, due_at=SLOT, slot=f"{SLOT:%Y-%m-%dT%H:%M}")
        factories.schedule(session, newsletter, "evening", active_from=since, paused_at=now)
    assert overdue(database, now) == []


def test_what_comes_next_is_the_first_slot_without_a_digest(database: Database) -> None:
    now = SLOT - timedelta(hours=1)
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session), active_from=now)
        factories.digest(
            session, schedule, due_at=SLOT, slot=f"{SLOT:%Y-%m-%dT%H:%M}",
            status=DigestStatus.CANCELLED,
        )  # fmt: skip
    following = SLOT + timedelta(days=1)
    assert coming(database, now) == {"daily/morning": f"{following:%Y-%m-%dT%H:%M}"}


@pytest.mark.parametrize(
    ("minutes", "has_digest", "shown"),
    [
        (-1, False, True),
        (-1, True, False),  # sent before its time
        (1, False, True),  # not built, and it still may be
        (1, True, False),
        (361, False, False),
    ],
)
def test_a_one_off_is_shown_until_it_is_over(
    database: Database, minutes: int, has_digest: bool, shown: bool
) -> None:
    slot = f"{SLOT:%Y-%m-%dT%H:%M}"
    with database.write() as session:
        once = factories.schedule(
            session, factories.newsletter(session), "once", kind=ScheduleKind.ONCE, at=None,
            once=slot, active_from=SLOT - timedelta(hours=1),
        )  # fmt: skip
        if has_digest:
            factories.digest(session, once, due_at=SLOT, slot=slot, status=DigestStatus.SENT)
    assert ("daily/once" in coming(database, SLOT + timedelta(minutes=minutes))) is shown


@pytest.mark.parametrize(
    ("review", "has_staff_address", "is_told"),
    [
        (timedelta(minutes=30), False, True),
        (timedelta(minutes=30), True, False),
        (None, False, False),
    ],
)
def test_a_review_that_goes_to_nobody_is_told(
    database: Database, review: timedelta | None, has_staff_address: bool, is_told: bool
) -> None:
    with database.write() as session:
        factories.schedule(session, factories.newsletter(session), review=review)
    warnings = setup_warnings(database, has_staff_address=has_staff_address)
    assert any("daily/morning" in one and "`staff_address`" in one for one in warnings) is is_told


@pytest.mark.parametrize(
    ("networks", "has_trusted_proxies", "is_told"),
    [
        ([], False, False),
        (["127.0.0.0/24"], False, True),
        (["::/64", "127.0.1.0/24"], False, True),
        (["127.0.0.0/24"], True, False),
        (["127.0.0.0/24", "203.0.113.0/24"], False, False),
        (["2001:db8::/64"], False, False),
    ],
)
def test_readers_behind_a_web_server_that_is_not_named_are_told_of(
    database: Database, networks: list[str], has_trusted_proxies: bool, is_told: bool
) -> None:
    with database.write() as session:
        session.add_all([ClientRequest(network=network, at=NOW) for network in networks])
    warnings = setup_warnings(database, has_trusted_proxies=has_trusted_proxies)
    assert any("set `trusted_proxies`" in line for line in warnings) is is_told


def test_newsletters_that_are_not_signed_are_named(database: Database) -> None:
    with database.write() as session:
        factories.newsletter(session, slug="daily", from_address="daily@news.example")
        factories.newsletter(session, slug="below", from_address="x@letters.news.example")
        factories.newsletter(session, slug="other", from_address="x@other.example")
        factories.newsletter(session, slug="another", from_address="x@notnews.example")
    (unsigned,) = about_dkim(database, dkim_domain="news.example", relay_signs_dkim=False)
    assert unsigned == (
        "mails of another, other are not signed with DKIM, because they do not come from news.example; "
        "give them an address there with `mailer newsletter edit another --from …`"
    )
    assert about_dkim(database, dkim_domain="example", relay_signs_dkim=False) == []


def test_a_mailbox_that_cannot_be_read_is_named_as_long_as_that_lasts(database: Database) -> None:
    def after_fetch(error: str | None, mailbox: str | None = "maildir:/srv/bounces") -> list[str]:
        with database.write() as session:
            record_fetch(session, "maildir:/srv/bounces", error, now=NOW)
        with database.read() as session:
            return mailbox_warnings(session, mailbox)

    (warning,) = after_fetch("it is no Maildir; check bounce_fetch_url")
    assert warning == (
        f"returned mail has not been read since {NOW:%Y-%m-%d %H:%M} UTC: "
        "it is no Maildir; check bounce_fetch_url"
    )
    assert after_fetch("it is no Maildir", "maildir:/another") == []
    assert after_fetch("it is no Maildir", None) == []
    assert after_fetch(None) == []


def test_an_installation_that_does_not_sign_is_told_how(database: Database) -> None:
    (unsigned,) = about_dkim(database, relay_signs_dkim=False)
    assert "mailer dkim new" in unsigned
    assert "relay_signs_dkim" in unsigned
    assert about_dkim(database, relay_signs_dkim=True) == []


def about_dkim(database: Database, **values: Any) -> list[str]:
    return [line for line in setup_warnings(database, **values) if "DKIM" in line]
