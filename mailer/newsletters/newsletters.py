"""Newsletters as staff make and change them: what is valid, and the rows.

Which feeds fill a newsletter and when it goes out is decided elsewhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.message.field import mailbox_line
from mailer.message.look import check_color
from mailer.models import Feed, Newsletter, NewsletterFeed, Schedule, ScheduleKind, Subscription

DEFAULT_COLOR: Final = "#14507a"
_LONGEST_SLUG: Final = 48
_LONGEST_LINE: Final = 200


@dataclass(frozen=True)
class Profile:
    """What staff decide of a newsletter, in the form in which it is stored."""

    title: str
    language: str
    from_name: str
    from_address: str
    reply_to: str | None
    postal_address: str
    logo_url: str | None
    color: str
    closed: bool = False
    pictures: bool = True


@dataclass(frozen=True)
class NewsletterChanges:
    """What staff asked for, as they wrote it; None leaves a thing as it is.

    `sender` is "Name <address>". An empty `reply_to` or `logo_url` takes it away.
    """

    title: str | None = None
    language: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    postal_address: str | None = None
    logo_url: str | None = None
    color: str | None = None
    closed: bool | None = None
    pictures: bool | None = None


@dataclass(frozen=True)
class Overview:
    """A newsletter with what belongs to it, for people to look at.

    Attributes:
        schedules: those that readers may be on.
    """

    slug: str
    list_id: str
    profile: Profile
    feeds: tuple[str, ...]
    schedules: tuple[str, ...]
    default_schedule: str | None
    subscriptions: int


def profile(wishes: NewsletterChanges, before: Profile | None = None) -> Profile:
    """The profile that `wishes` make of the one before, or of nothing.

    The language is not checked here: which there are is the templates' business.

    Raises:
        Refused: something is missing or not valid.
        BadAddress: an address is none.
    """
    if before is None:
        before = Profile("", "en", "", "", None, "", None, DEFAULT_COLOR)
    name, address = before.from_name, before.from_address
    if wishes.sender is not None:
        name, address = _sender(wishes.sender)
    after = replace(
        before,
        title=before.title if wishes.title is None else _line("title", wishes.title),
        language=wishes.language or before.language,
        from_name=name,
        from_address=address,
        reply_to=before.reply_to if wishes.reply_to is None else _reply_to(wishes.reply_to),
        postal_address=(
            before.postal_address
            if wishes.postal_address is None
            else _postal_address(wishes.postal_address)
        ),
        logo_url=before.logo_url if wishes.logo_url is None else _logo(wishes.logo_url),
        color=before.color if wishes.color is None else _color(wishes.color),
        closed=before.closed if wishes.closed is None else wishes.closed,
        pictures=before.pictures if wishes.pictures is None else wishes.pictures,
    )
    if not (after.title and after.from_address and after.postal_address):
        raise Refused("a newsletter needs a title, a sender and a postal address")
    return after


def add(session: Session, slug: str, profile: Profile, *, now: datetime) -> Newsletter:
    """A new newsletter.

    Raises:
        Refused: `slug` cannot be part of an address.
        AlreadyExists: there is one with this slug.
    """
    if len(slug) > _LONGEST_SLUG or not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise Refused(
            f"{slug!r} cannot stand in web addresses; "
            f"use up to {_LONGEST_SLUG} of a-z, 0-9 and single hyphens, such as daily-news"
        )
    if session.scalar(select(Newsletter.id).where(Newsletter.slug == slug)) is not None:
        raise AlreadyExists(
            f"there is a newsletter {slug} already; change it with `mailer newsletter edit {slug}`"
        )
    domain = parse(profile.from_address).key.rpartition("@")[2]
    newsletter = Newsletter(
        slug=slug, list_id=f"{slug}.{domain}", created_at=now, **_columns(profile)
    )
    session.add(newsletter)
    session.flush()
    return newsletter


def take_back(session: Session, newsletter: Newsletter) -> None:
    """Undo `add`, for a newsletter that has neither schedules nor readers yet."""
    session.delete(newsletter)
    session.flush()


def change(session: Session, newsletter: Newsletter, profile: Profile) -> None:
    """Give a newsletter another profile. Its slug and List-Id stay for ever."""
    for name, value in _columns(profile).items():
        setattr(newsletter, name, value)
    session.flush()


def find(session: Session, slug: str) -> Newsletter:
    """The newsletter with this slug.

    Raises:
        NotFound: there is none.
    """
    found = session.scalar(select(Newsletter).where(Newsletter.slug == slug))
    if found is None:
        raise NotFound(f"there is no newsletter {slug!r}; `mailer newsletter list` shows them")
    return found


def profile_of(newsletter: Newsletter) -> Profile:
    """What staff decided of this newsletter so far."""
    return Profile(**{name: getattr(newsletter, name) for name in _PROFILE})


def overviews(session: Session, slug: str | None = None) -> list[Overview]:
    """All newsletters by slug, or the one with `slug`.

    Raises:
        NotFound: there is no such one.
    """
    if slug is None:
        chosen = list(session.scalars(select(Newsletter).order_by(Newsletter.slug)))
    else:
        chosen = [find(session, slug)]
    return [_overview(session, newsletter) for newsletter in chosen]


def _overview(session: Session, newsletter: Newsletter) -> Overview:
    schedules: Sequence[tuple[str, bool]] = [
        (name, is_default)
        for name, is_default in session.execute(
            select(Schedule.name, Schedule.is_default)
            .where(
                Schedule.newsletter_id == newsletter.id,
                Schedule.removed_at.is_(None),
                # Nobody can be on a one-off, and over the years there are many.
                Schedule.kind != ScheduleKind.ONCE,
            )
            .order_by(Schedule.name)
        )
    ]
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
        feeds=tuple(feeds),
        schedules=tuple(name for name, _ in schedules),
        default_schedule=next((name for name, is_default in schedules if is_default), None),
        subscriptions=subscriptions or 0,
    )


_PROFILE: Final = tuple(Profile.__dataclass_fields__)


def _columns(profile: Profile) -> dict[str, object]:
    return {name: getattr(profile, name) for name in _PROFILE}


def _line(what: str, text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > _LONGEST_LINE:
        raise Refused(f"the {what} must be one line of up to {_LONGEST_LINE} characters")
    return text


def _sender(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"([^<>]*)<([^<>]*)>", text.strip())
    if not found or not found[1].strip().strip('"'):
        raise Refused(f'--from must be like "The Daily <daily@news.example>", not {text!r}')
    name, address = _line("sender's name", found[1].strip().strip('"')), parse(found[2]).typed
    # What no From header can hold is refused here, and not by every mail of this newsletter.
    mailbox_line("From", name, address)
    return name, address


def _reply_to(text: str) -> str | None:
    return parse(text).typed if text else None


def _postal_address(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    found = "\n".join(line for line in lines if line)
    if not found or not found.replace("\n", "").isprintable():
        raise Refused("a postal address is needed: the law wants one in every mail")
    return found


def _logo(text: str) -> str | None:
    if not text:
        return None
    url = urlsplit(text)
    if url.scheme != "https" or not url.hostname or "@" in url.netloc or not _is_plain(text):
        raise Refused(f"--logo must be an https URL of an image, not {text!r}")
    return text


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", text))


def _color(text: str) -> str:
    check_color(text)
    return text.lower()
