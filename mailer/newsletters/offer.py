"""Reads what readers may choose from: newsletters, their schedules, and the consent sentence for each.

Never writes, but can keep schedules from being removed. One-offs are not on offer.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.prepared_statements import Among, Prepared, Row
from mailer.errors import NotFound, Refused
from mailer.message.look import COLUMNS, Look
from mailer.models import Newsletter, Schedule, ScheduleKind
from mailer.newsletters.newsletters import no_newsletter


@dataclass(frozen=True)
class Option:
    """A schedule that a reader may choose; the last fields say when it goes out."""

    id: int
    name: str
    is_default: bool
    kind: ScheduleKind
    at: str | None
    days: tuple[str, ...]
    monthday: int | None
    zone: str


@dataclass(frozen=True)
class Offer:
    """A newsletter as readers see it when they sign up."""

    id: int
    look: Look
    closed: bool
    options: tuple[Option, ...]

    @property
    def default(self) -> Option | None:
        """The schedule of those who choose none; without one nobody can sign up."""
        return next((option for option in self.options if option.is_default), None)

    @property
    def is_open(self) -> bool:
        """Whether people may sign up now."""
        return not self.closed and self.default is not None

    def option(self, reference: str) -> Option | None:
        """The schedule that "SLUG/NAME" or "NAME" names, if it may be chosen."""
        name = reference.removeprefix(f"{self.look.slug}/")
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True)
class Publisher:
    """The publisher of all newsletters here, and where readers learn how their data is used."""

    name: str | None = None
    privacy_url: str | None = None


def offers(session: Session, publisher: Publisher) -> list[Offer]:
    """Read every newsletter, closed ones too, by title."""
    rows = _OFFERS.execute(session, {})
    by_newsletter = groupby(rows, key=lambda row: row[: len(_NEWSLETTER)])
    return [
        _offer(newsletter, [row[len(_NEWSLETTER) :] for row in its_rows], publisher)
        for newsletter, its_rows in by_newsletter
    ]


def offer(session: Session, publisher: Publisher, slug: str) -> Offer:
    """Read the newsletter with this slug.

    Raises:
        NotFound: there is none.
    """
    for candidate in offers(session, publisher):
        # Compared here, because a slug from outside may hold what a database may not.
        if candidate.look.slug == slug:
            return candidate
    raise NotFound(no_newsletter(slug))


def several_zones(offers: Iterable[Offer]) -> bool:
    """Tell whether the schedules on offer are in several zones, so that each time must name its zone."""
    return len({option.zone for offer in offers for option in offer.options}) > 1


def find_option(offer: Offer, reference: str | None) -> Option | None:
    """Find the schedule that `reference`, "SLUG/NAME" or "NAME", names; None if it is None.

    Raises:
        Refused: the newsletter has no schedule at all.
        NotFound: it has none of that name.
    """
    slug = offer.look.slug
    if offer.default is None:
        raise Refused(
            f"the newsletter {slug} has no schedule; make one with `mailer schedule add {slug} NAME`"
        )
    if reference is None:
        return None
    option = offer.option(reference)
    if option is None:
        raise NotFound(
            f"there is no schedule {reference!r} of {slug}; `mailer schedule list` shows them"
        )
    return option


def lock_schedules(session: Session, newsletter_ids: Collection[int]) -> frozenset[int]:
    """Return the ids of these newsletters' schedules; nobody can remove one until the transaction ends.

    Call it before putting a reader on a schedule: one that was on offer a moment ago may be gone, and readers
    who are put on it afterwards would not be moved.
    """
    rows = _LOCKED_SCHEDULES.execute(session, {"newsletter_ids": newsletter_ids})
    return frozenset(schedule_id for (schedule_id,) in rows)


def consent_sentence(translate: Callable[..., str], look: Look) -> str:
    """Return what a person who signs up agrees to, in the language of `translate`."""
    if look.publisher == look.title:
        return translate(
            "I want to receive %(newsletter)s by email. "
            "I can unsubscribe at any time using the link in every email.",
            newsletter=look.title,
        )
    return translate(
        "I want to receive %(newsletter)s from %(publisher)s by email. "
        "I can unsubscribe at any time using the link in every email.",
        newsletter=look.title,
        publisher=look.publisher,
    )


_NEWSLETTER: Final = (
    Newsletter.id,
    Newsletter.closed,
    *(getattr(Newsletter, name) for name in COLUMNS),
)
_SCHEDULE: Final = tuple(getattr(Schedule, field.name) for field in fields(Option))
_CAN_BE_CHOSEN: Final = Schedule.removed_at.is_(None) & (Schedule.kind != ScheduleKind.ONCE)
_OFFERS: Final = Prepared(
    select(*_NEWSLETTER, *_SCHEDULE)
    .outerjoin(Schedule, (Schedule.newsletter_id == Newsletter.id) & _CAN_BE_CHOSEN)
    .order_by(Newsletter.title, Newsletter.id, Schedule.is_default.desc(), Schedule.name),
    *(column.type for column in (*_NEWSLETTER, *_SCHEDULE)),
)
_LOCKED_SCHEDULES: Final = Prepared(
    select(Schedule.id)
    .where(Among(Schedule.newsletter_id, "newsletter_ids"), Schedule.removed_at.is_(None))
    # In one order in every transaction, so that no two wait for each other.
    .order_by(Schedule.id)
    .with_for_update(read=True),
    Schedule.id.type,
)


def _offer(newsletter: Row, schedules: Iterable[Row], publisher: Publisher) -> Offer:
    newsletter_id, closed, *stored = newsletter
    look = Look.from_columns(
        dict(zip(COLUMNS, stored, strict=True)),
        publisher=publisher.name,
        privacy_url=publisher.privacy_url,
    )
    # A newsletter without a schedule has one row, in which all of them are NULL.
    options = tuple(_option(schedule) for schedule in schedules if schedule[0] is not None)
    return Offer(newsletter_id, look, closed, options)


def _option(schedule: Row) -> Option:
    values = {field.name: value for field, value in zip(fields(Option), schedule, strict=True)}
    return Option(**values | {"days": tuple(values["days"].split(",")) if values["days"] else ()})
