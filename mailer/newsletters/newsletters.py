"""Adds, changes and finds newsletters: their rows, and what belongs to them.

Never decides which feeds fill a newsletter or when it goes out.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.models import Feed, Newsletter, NewsletterFeed, Schedule, ScheduleKind, Subscription
from mailer.newsletters.profile import Profile

_LONGEST_SLUG: Final = 48


@dataclass(frozen=True)
class Overview:
    """A newsletter with what belongs to it; `schedules` are those that readers may be on."""

    slug: str
    list_id: str
    profile: Profile
    feeds: Sequence[str]
    schedules: Sequence[str]
    default_schedule: str | None
    subscriptions: int


def add(session: Session, slug: str, profile: Profile, *, now: datetime) -> Newsletter:
    """Add a newsletter.

    Raises:
        Refused: `slug` cannot be part of a web address.
        AlreadyExists: there is one with this slug.
    """
    if len(slug) > _LONGEST_SLUG or not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise Refused(
            f"{slug!r} cannot be used in web addresses; "
            f"use up to {_LONGEST_SLUG} of a-z, 0-9 and single hyphens, such as daily-news"
        )
    if session.scalar(select(Newsletter.id).where(Newsletter.slug == slug)) is not None:
        raise AlreadyExists(
            f"the newsletter {slug} already exists; change it with `mailer newsletter edit {slug}`"
        )
    domain = parse(profile.from_address).domain
    newsletter = Newsletter(
        slug=slug, list_id=f"{slug}.{domain}", created_at=now, **asdict(profile)
    )
    session.add(newsletter)
    session.flush()
    return newsletter


def take_back(session: Session, newsletter: Newsletter) -> None:
    """Undo `add` for a newsletter that has neither schedules nor readers yet."""
    session.delete(newsletter)
    session.flush()


def change(session: Session, newsletter: Newsletter, profile: Profile) -> None:
    """Give a newsletter another profile. Its slug and List-Id never change."""
    for name, value in asdict(profile).items():
        setattr(newsletter, name, value)
    session.flush()


def find(session: Session, slug: str) -> Newsletter:
    """Find the newsletter with this slug.

    Raises:
        NotFound: there is none.
    """
    newsletter = session.scalar(select(Newsletter).where(Newsletter.slug == slug))
    if newsletter is None:
        raise NotFound(no_newsletter(slug))
    return newsletter


def no_newsletter(slug: str) -> str:
    """Say that no newsletter has this slug, for an error."""
    return f"there is no newsletter {slug!r}; `mailer newsletter list` shows them"


def profile_of(newsletter: Newsletter) -> Profile:
    """Read the profile of a newsletter."""
    return Profile(**{field.name: getattr(newsletter, field.name) for field in fields(Profile)})


def overviews(session: Session, slug: str | None = None) -> list[Overview]:
    """Read all newsletters by slug, or the one with `slug`.

    Raises:
        NotFound: there is no such newsletter.
    """
    if slug is not None:
        return [_overview(session, find(session, slug))]
    newsletters = session.scalars(select(Newsletter).order_by(Newsletter.slug)).all()
    return [_overview(session, newsletter) for newsletter in newsletters]


def _overview(session: Session, newsletter: Newsletter) -> Overview:
    schedules = session.execute(
        select(Schedule.name, Schedule.is_default)
        .where(
            Schedule.newsletter_id == newsletter.id,
            Schedule.removed_at.is_(None),
            # Nobody can be on a one-off, and over the years there are many.
            Schedule.kind != ScheduleKind.ONCE,
        )
        .order_by(Schedule.name)
    ).all()
    feeds = session.scalars(
        select(Feed.url)
        .join(NewsletterFeed, NewsletterFeed.feed_id == Feed.id)
        .where(NewsletterFeed.newsletter_id == newsletter.id)
        .order_by(Feed.url)
    )
    subscriptions = session.scalar(
        select(func.count())
        .select_from(Subscription)
        .where(Subscription.newsletter_id == newsletter.id, Subscription.left_at.is_(None))
    )
    return Overview(
        slug=newsletter.slug,
        list_id=newsletter.list_id,
        profile=profile_of(newsletter),
        feeds=feeds.all(),
        schedules=[name for name, _ in schedules],
        default_schedule=next((name for name, is_default in schedules if is_default), None),
        subscriptions=subscriptions or 0,
    )
