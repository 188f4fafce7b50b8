"""Gathers everything that is held about one person, for them and for staff: one value, shown as JSON or HTML.

Only reads. Whatever a table holds about people must be here; nothing else is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from mailer.bounces.history import CameBack, came_back_of
from mailer.clock import format_instant
from mailer.models import (
    ConsentEvent,
    DeliveryStatus,
    JournalEntry,
    JournalKind,
    Newsletter,
    Notice,
    NoticeKind,
    Signup,
    Subscriber,
)
from mailer.newsletters.offer import Publisher, offers
from mailer.permission.suppress import SuppressionView, list_suppressions
from mailer.subscribers.readers import (
    ConsentEventView,
    Reader,
    ReaderMail,
    consent_of,
    mails_of,
    subscriptions_of,
)
from mailer.subscribers.rights.consent_record import shown_events

if TYPE_CHECKING:
    from mailer.templating.templates import Templates

NOT_HELD: Final = ("whether an email was opened", "which links were followed")


@dataclass(frozen=True)
class HeldSignup:
    """A request to subscribe, confirmed or not."""

    at: datetime
    address: str
    name: str | None
    language: str
    source: str
    ip: str | None
    user_agent: str | None
    expires_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True)
class HeldNotice:
    """A mail to this person alone, such as a confirmation."""

    at: datetime
    kind: NoticeKind
    subject: str
    status: DeliveryStatus


@dataclass(frozen=True)
class HeldJournalEntry:
    """What a restored database is told again about this person."""

    at: datetime
    kind: JournalKind
    newsletter: str | None
    reason: str | None


@dataclass(frozen=True)
class Responsible:
    """Who publishes a newsletter, and is responsible for the data of its readers."""

    newsletter: str
    title: str
    publisher: str
    postal_address: str
    privacy_url: str | None


@dataclass(frozen=True)
class Retention:
    """How long data stays that is deleted in time."""

    clients: timedelta
    """IP addresses and browsers."""
    digests: timedelta | None = None
    """Which digests a person was sent, after they finished; None: for ever."""


@dataclass(frozen=True)
class HeldData:
    """Everything that is held about the person with this address.

    Attributes:
        address: as they wrote it, if they are or were a subscriber; else as it was asked for.
        since: when they became a subscriber.
        digests: those that were sent to them, or will be, or were not, and why; none that is older than the
            retention.
        returned: what came back of mails to them.
        journal: only in the JSON, because it repeats what the consent log and the suppressions say.
    """

    made_at: datetime
    address: str
    name: str | None
    language: str | None
    since: datetime | None
    responsible: Sequence[Responsible]
    subscriptions: Sequence[Reader]
    signups: Sequence[HeldSignup]
    consent: Sequence[ConsentEventView]
    digests: Sequence[ReaderMail]
    notices: Sequence[HeldNotice]
    returned: Sequence[CameBack]
    suppressions: Sequence[SuppressionView]
    journal: Sequence[HeldJournalEntry]
    retention: Retention

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        lists = (
            self.subscriptions,
            self.signups,
            self.consent,
            self.notices,
            self.returned,
            self.suppressions,
            self.journal,
        )
        return self.since is None and not any(lists)

    def title(self, slug: str) -> str:
        """The title of a newsletter."""
        return next((one.title for one in self.responsible if one.newsletter == slug), slug)

    def as_json(self) -> dict[str, object]:
        """Return the document for programs; instants are ISO 8601 in UTC."""
        day, digests = timedelta(days=1), self.retention.digests
        return {
            **{field.name: _plain(getattr(self, field.name)) for field in fields(self)},
            "retention": {
                "ip_and_browser_days": self.retention.clients // day,
                "digest_days": None if digests is None else digests // day,
            },
            "not_held": list(NOT_HELD),
        }


def find_person(session: Session, public_id: int) -> Subscriber | None:
    """Return the subscriber whom a link names, also once they are erased; None if there is none."""
    return session.scalar(
        select(Subscriber)
        .where(Subscriber.public_id == public_id)
        .execution_options(populate_existing=True)
    )


def held_data(
    session: Session,
    key_hash: str,
    address: str,
    publisher: Publisher,
    retention: Retention,
    *,
    now: datetime,
) -> HeldData:
    """Gather what is held about the person with this hash of `address`."""
    person = session.scalar(select(Subscriber).where(Subscriber.key_hash == key_hash))
    known = select(ConsentEvent.signup_public_id).where(ConsentEvent.key_hash == key_hash)
    is_theirs = or_(Signup.key_hash == key_hash, Signup.public_id.in_(known))
    notices: ColumnElement[bool] = Notice.key_hash == key_hash
    if person is not None:
        is_theirs = or_(is_theirs, Signup.subscriber_id == person.id)
        notices = or_(notices, Notice.subscriber_id == person.id)
    got, missed = mails_of(session, key_hash)
    subscriptions = subscriptions_of(session, key_hash)
    consent = consent_of(session, key_hash)
    slugs = {row.newsletter for row in subscriptions} | {event.newsletter for event in consent}
    return HeldData(
        made_at=now,
        address=person.address if person is not None else address,
        name=None if person is None else person.name,
        language=None if person is None else person.language,
        since=None if person is None else person.created_at,
        responsible=_responsible(session, publisher, slugs),
        subscriptions=subscriptions,
        signups=_signups(session, is_theirs),
        consent=consent,
        digests=sorted(
            (mail for mail in (*got, *missed) if mail.delivery is not None),
            key=lambda mail: mail.digest,
        ),
        notices=_notices(session, notices),
        returned=came_back_of(session, key_hash),
        suppressions=list_suppressions(session, key_hash),
        journal=_journal(session, key_hash),
        retention=retention,
    )


def render_held_data(templates: "Templates", data: HeldData, language: str) -> str:
    """Render a page that stands alone: nothing is loaded from elsewhere, and it can be printed.

    Raises:
        BadTemplate: the template cannot be rendered.
    """
    context = {"data": data, "events": shown_events(data.consent)}
    return templates.render("document/data.html", language, context)


def language_of(session: Session, data: HeldData) -> str:
    """Return the person's own language, else that of a newsletter of theirs, else English."""
    if data.language is not None:
        return data.language
    slugs = [one.newsletter for one in data.responsible]
    found = session.scalar(select(Newsletter.language).where(Newsletter.slug.in_(slugs[:1])))
    return found or "en"


def _responsible(
    session: Session, publisher: Publisher, slugs: set[str | None]
) -> list[Responsible]:
    looks = [offer.look for offer in offers(session, publisher)]
    return [
        Responsible(look.slug, look.title, look.publisher, look.postal_address, look.privacy_url)
        for look in looks
        if look.slug in slugs or not slugs
    ]


def _signups(session: Session, which: ColumnElement[bool]) -> list[HeldSignup]:
    rows = session.execute(
        select(
            Signup.created_at,
            Signup.address,
            Signup.name,
            Signup.language,
            Signup.source,
            Signup.ip,
            Signup.user_agent,
            Signup.expires_at,
            Signup.confirmed_at,
        )
        .where(which)
        .order_by(Signup.id)
    )
    return [HeldSignup(*row) for row in rows]


def _notices(session: Session, which: ColumnElement[bool]) -> list[HeldNotice]:
    rows = session.execute(
        select(Notice.created_at, Notice.kind, Notice.subject, Notice.status)
        .where(which, Notice.address != "")
        .order_by(Notice.id)
    )
    return [HeldNotice(*row) for row in rows]


def _journal(session: Session, key_hash: str) -> list[HeldJournalEntry]:
    columns = (JournalEntry.at, JournalEntry.kind, JournalEntry.newsletter, JournalEntry.reason)
    rows = session.execute(
        select(*columns).where(JournalEntry.key_hash == key_hash).order_by(JournalEntry.id)
    )
    return [HeldJournalEntry(*row) for row in rows]


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, timedelta) else value
