"""Says what needs a person, each with the next step: what is paused, in doubt, failing, late or not set up.

Only reads.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from mailer.bounces.history import AlarmingDigest
from mailer.bounces.intake.fetch_record import failing_fetch
from mailer.bounces.rates import COMPLAINTS_WARN, percent
from mailer.clock import format_instant
from mailer.clock import zone as zone_named
from mailer.digests.schedules import schedule_lookup
from mailer.ledger import fence
from mailer.models import DigestStatus, WorkerRole
from mailer.monitoring.digest_progress import ways_out
from mailer.monitoring.dkim_coverage import uncovered_newsletters
from mailer.monitoring.last_doctor import doctor_warnings
from mailer.monitoring.status import Status
from mailer.notices.backup_alerts import read_record, why_overdue
from mailer.subscribers.signup_limits import all_from_loopback
from mailer.text.english import moment, pluralise

_WAIT: Final = ("mail waits", "mails wait")
_BUILT_WITHIN: Final = timedelta(minutes=10)
"""How long after its slot a digest may still be in the making: feeds are waited for."""
_DIGESTS_NAMED: Final = 5
"""So many digests with mails in doubt are named, the latest; there may be years of them."""


def all_warnings(
    session: Session,
    status: Status,
    *,
    now: datetime,
    has_staff_address: bool,
    has_trusted_proxies: bool,
    dkim_domain: str | None,
    relay_signs_dkim: bool,
    local_url: str | None,
) -> list[str]:
    """Collect all warnings, but those of returned mail, the journal and backups.

    Args:
        status: the state at `now`.
        has_staff_address, has_trusted_proxies, dkim_domain, relay_signs_dkim: as the settings say.
        local_url: the start of links, if they work on this machine only.

    Raises:
        Refused: the zone of an overdue schedule does not exist any more.
        BadMessage: a newsletter's From address is not valid.
    """
    warnings = status_warnings(status)
    # After a restore nothing is built, and these slots may have gone out: `mailer resume` shows which.
    if fence.current(session) is None:
        warnings += overdue_warnings(status, now)
    if not has_staff_address:
        warnings += _unseen_reviews(session)
    if not has_trusted_proxies and all_from_loopback(session):
        warnings.append(
            "all sign-ups came from this machine: if there is a web server in front, all readers count as "
            "one network and soon get 429; set `trusted_proxies` to its address, such as 127.0.0.1"
        )
    if local_url is not None:
        warnings.append(
            f"links start with {local_url}, which works on this machine only; set `base_url`"
        )
    elif dkim_domain is not None:
        warnings += _unsigned_newsletters(session, dkim_domain)
    elif not relay_signs_dkim:
        warnings.append(
            "mails without DKIM get no unsubscribe button; make a key with `mailer dkim new`, "
            "or let the relay sign, and set `relay_signs_dkim`"
        )
    if local_url is None:
        warnings += doctor_warnings(session, now=now)
    return warnings


def mailbox_warnings(session: Session, mailbox: str | None) -> list[str]:
    """Warn if returned mail cannot be read.

    Args:
        mailbox: names the one that is set; None if none is.
    """
    failing = failing_fetch(session, mailbox) if mailbox is not None else None
    if failing is None:
        return []
    since = f"{failing.since:%Y-%m-%d %H:%M} UTC"
    return [f"returned mail has not been read since {since}: {failing.error}"]


def backup_warnings(session: Session, *, has_folder: bool, now: datetime) -> list[str]:
    """Warn if there is no recent backup, or the last try failed.

    Args:
        has_folder: whether the settings name a folder for backups.
    """
    if not has_folder:
        return []
    record = read_record(session)
    reason = why_overdue(record, now)
    if reason is not None:
        last = (
            "none was ever good"
            if record.good_at is None
            else f"the last good one is of {format_instant(record.good_at)}"
        )
        return [f"there is no recent backup ({last}): {reason}"]
    if record.error is not None:
        return [f"the last backup failed: {record.error}; it is tried again within three hours"]
    return []


def status_warnings(status: Status) -> list[str]:
    """Warn of what is paused, waits for nobody, is in doubt or fails."""
    warnings = []
    if status.paused_at is not None:
        why = f" ({status.paused_reason})" if status.paused_reason else ""
        warnings.append(f"sending is paused{why}; `mailer resume` starts it again")
    paused = [digest for digest in status.digests if digest.status == DigestStatus.PAUSED]
    warnings += [
        f"digest {digest.id} of {digest.newsletter}/{digest.schedule} is paused ({digest.reason}), "
        f"{pluralise(digest.pending, *_WAIT)}; {ways_out(digest.id)}"
        for digest in paused
    ]
    waiting = status.notices_waiting + status.deliveries_waiting
    waiting -= sum(digest.pending for digest in paused)
    if waiting and status.paused_at is None and not status.runs(WorkerRole.SENDER):
        what = ("mail waits and nothing sends it", "mails wait and nothing sends them")
        warnings.append(f"{pluralise(waiting, *what)}; start `mailer run`")
    warnings += [
        f"the {process.role} {process.pid} on {process.host} sends nothing now: {process.note}"
        for process in status.processes
        if process.alive and process.note
    ]
    if status.doubtful:
        which = ", ".join(
            f"{digest.mails} of digest {digest.digest}"
            for digest in status.doubtful[:_DIGESTS_NAMED]
        )
        more = ", …" if len(status.doubtful) > _DIGESTS_NAMED else ""
        warnings.append(
            f"{pluralise(status.in_doubt, 'mail is', 'mails are')} in doubt ({which}{more}); "
            "`mailer delivery list --status unknown` shows which, "
            "`mailer delivery resolve --digest ID` with --resend or --drop settles it"
        )
    if status.notices_in_doubt:
        what = ("confirmation or other notice", "confirmations or other notices")
        warnings.append(
            f"{pluralise(status.notices_in_doubt, *what)} of the last day stayed in doubt: the relay may "
            "have lost them, and its log may tell; readers who miss one can ask for it again"
        )
    warnings += [_too_much_comes_back(digest) for digest in status.alarming]
    warnings += [
        f"feed {feed.url} has been failing since {feed.since:%Y-%m-%d %H:%M} UTC: {feed.error}; "
        "`mailer feed refresh` tries again"
        for feed in status.failing_feeds
    ]
    warnings += [
        f"newsletter {slug} has no schedule, so nobody can sign up; `mailer schedule add {slug} …`"
        for slug in status.without_schedule
    ]
    return warnings


def _too_much_comes_back(digest: AlarmingDigest) -> str:
    parts = []
    if digest.withheld:
        bounced = pluralise(digest.hard, "mail", "mails")
        parts.append(f"{bounced} bounced for good, too many to suppress their readers")
    if digest.complaints_warned_at is not None:
        readers = pluralise(digest.complaints, "reader", "readers")
        parts.append(f"{readers} reported it as spam, {percent(COMPLAINTS_WARN)} or more")
    return (
        f"digest {digest.digest} of {digest.newsletter}/{digest.schedule}: {' and '.join(parts)}; "
        f"`mailer digest report {digest.digest}` shows where"
    )


def overdue_warnings(status: Status, now: datetime) -> list[str]:
    """Warn of slots whose time has passed and that no scheduler built: readers miss those first.

    Raises:
        Refused: the zone of such a schedule does not exist any more.
    """
    warnings = []
    for schedule in status.next:
        since = schedule.overdue_since
        if since is None:
            continue
        when = moment(since.astimezone(zone_named(schedule.zone)), schedule.zone)
        digest = f"the digest of {schedule.schedule} for {when}"
        if status.runs(WorkerRole.BUILDER):
            # A scheduler writes down within seconds which slots it skips.
            if schedule.overdue and now - since >= _BUILT_WITHIN:
                warnings.append(f"{digest} is not built yet; the log of `mailer run` says why")
        elif schedule.overdue:
            warnings.append(f"{digest} is not built; start `mailer run`, and it still goes out")
        else:
            warnings.append(
                f"{digest} was not built, and now it is too late for it; "
                "start `mailer run`, or the next one is missed too"
            )
    return warnings


def _unsigned_newsletters(session: Session, domain: str) -> list[str]:
    """Warn of newsletters from other domains than the one that signs.

    Raises:
        BadMessage: a From address is not valid.
    """
    slugs = [slug for slug, _ in uncovered_newsletters(session, domain)]
    if not slugs:
        return []
    return [
        (
            f"mails of {', '.join(slugs)} are not signed with DKIM, because they do not come from {domain}; "
            f"give them an address there with `mailer newsletter edit {slugs[0]} --from …`"
        )
    ]


def _unseen_reviews(session: Session) -> list[str]:
    """Warn of reviews without a recipient: the address may have been removed from the settings later."""
    references = [
        f"{newsletter.slug}/{schedule.name}"
        for newsletter, schedule, _ in schedule_lookup.of_newsletters(session)
        if schedule.review is not None
    ]
    if not references:
        return []
    return [
        (
            f"nobody gets {', '.join(references)} for review (--review) before it goes out, because "
            "`staff_address` is not set; set it"
        )
    ]
