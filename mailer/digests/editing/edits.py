"""Records staff's edits of a schedule's coming digest: made, cleared, used up by a build, and given back.

The next slot takes them, whichever it is. Checks which articles they may name. Never renders a digest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.digests.selection import article_queries
from mailer.digests.selection.plan import source_at
from mailer.errors import NotFound, Refused
from mailer.models import (
    Article,
    DroppedArticle,
    Edits,
    Holds,
    Newsletter,
    NewsletterArticle,
    Schedule,
)

if TYPE_CHECKING:
    from mailer.digests.editing.introduction import Intro

LONGEST_INTRO: Final = 10_000
"""Characters of an introduction above articles: with twenty long stories the mail must not be cut off."""
LONGEST_LETTER: Final = 40_000


@dataclass(frozen=True)
class EditChanges:
    """What staff want to change in the coming digest; None changes nothing."""

    subject: str | None = None
    intro: "Intro | None" = None
    lead: int | None = None
    drop: Collection[int] = ()


def edit(
    session: Session,
    newsletter: Newsletter,
    schedule: Schedule,
    changes: EditChanges,
    *,
    now: datetime,
) -> Edits:
    """Change the schedule's coming digest, whichever slot it is.

    A dropped article is in no digest of the newsletter any more; if it was to lead, it no longer does.

    Raises:
        NotFound: an article is not in the newsletter.
        BadSchedule: the schedule's rule cannot be parsed.
        Refused: no slot is to come, an article cannot lead, or the text is too long or empty.
    """
    slot = slot_lookup.next_free_slot(session, schedule, now=now)
    if slot is None:
        reference = f"{newsletter.slug}/{schedule.name}"
        raise Refused(f"{reference} has no coming digest; see `mailer schedule show {reference}`")
    _check_texts(schedule, changes)
    if changes.lead is not None and changes.lead in changes.drop:
        raise Refused(f"article {changes.lead} cannot lead and be dropped; give it once")
    edits = _coming_edits(session, schedule, now)
    for article_id in changes.drop:
        _drop(session, newsletter, edits, article_id, now)
    if changes.lead is not None:
        _check_lead(session, newsletter, schedule, slot, changes.lead)
        edits.lead_id = changes.lead
    if changes.subject is not None:
        edits.subject = " ".join(changes.subject.split())
    if changes.intro is not None:
        edits.intro_html, edits.intro_text = changes.intro.html, changes.intro.text
    edits.updated_at = now
    session.flush()
    return edits


def clear(session: Session, schedule: Schedule) -> bool:
    """Delete the edits of the coming digest, and take back what was dropped with them.

    Returns:
        False if there were none.

    Raises:
        Refused: the schedule is a letter, which is nothing without them.
    """
    edits = article_queries.load_edits(session, schedule.id, None)
    if edits is None:
        return False
    if schedule.holds is Holds.NONE:
        raise Refused(
            "a letter consists only of its introduction; give it another one with --intro, "
            "or take it back with `mailer schedule remove`"
        )
    session.execute(delete(DroppedArticle).where(DroppedArticle.edits_id == edits.id))
    session.delete(edits)
    session.flush()
    return True


def dropped(session: Session, edits: Edits) -> Sequence[int]:
    """List the articles that were dropped with these edits."""
    return session.scalars(
        select(DroppedArticle.article_id)
        .where(DroppedArticle.edits_id == edits.id)
        .order_by(DroppedArticle.article_id)
    ).all()


def use_up(session: Session, schedule_id: int, digest_id: int) -> None:
    """Make the schedule's coming edits those of this digest, for good."""
    session.execute(
        update(Edits)
        .where(Edits.schedule_id == schedule_id, Edits.digest_id.is_(None))
        .values(digest_id=digest_id)
        .execution_options(synchronize_session=False)
    )


def give_back(session: Session, digest_id: int) -> None:
    """Give the edits of a digest that is not sent to the coming digest again.

    What staff typed meanwhile wins.
    """
    used = session.scalar(select(Edits).where(Edits.digest_id == digest_id))
    if used is None:
        return
    newer = article_queries.load_edits(session, used.schedule_id, None)
    if newer is None:
        used.digest_id = None
        session.flush()
        return
    for column in ("subject", "lead_id", "intro_html", "intro_text"):
        if getattr(newer, column) is None:
            setattr(newer, column, getattr(used, column))
    session.execute(
        update(DroppedArticle)
        .where(DroppedArticle.edits_id == used.id)
        .values(edits_id=newer.id)
        .execution_options(synchronize_session=False)
    )
    session.delete(used)
    session.flush()


def _check_texts(schedule: Schedule, changes: EditChanges) -> None:
    if changes.subject is not None and not changes.subject.strip():
        raise Refused("an empty subject cannot be sent; leave out --subject, or give some words")
    if changes.intro is not None:
        longest = LONGEST_LETTER if schedule.holds is Holds.NONE else LONGEST_INTRO
        if len(changes.intro.html) > longest:
            raise Refused(
                f"the introduction has {len(changes.intro.html)} characters, and mail programs cut "
                f"off long mails; shorten it to {longest}"
            )


def _coming_edits(session: Session, schedule: Schedule, now: datetime) -> Edits:
    """Load the edits of the coming digest, or add some."""
    # Two commands at once must not add two.
    session.refresh(schedule, with_for_update=True)
    edits = article_queries.load_edits(session, schedule.id, None)
    if edits is None:
        edits = Edits(schedule_id=schedule.id, updated_at=now)
        session.add(edits)
        session.flush()
    return edits


def _drop(
    session: Session, newsletter: Newsletter, edits: Edits, article_id: int, now: datetime
) -> None:
    check_in_newsletter(session, newsletter, article_id)
    if session.get(DroppedArticle, (newsletter.id, article_id)) is None:
        session.add(
            DroppedArticle(
                newsletter_id=newsletter.id,
                article_id=article_id,
                edits_id=edits.id,
                dropped_at=now,
            )
        )
        session.flush()
    session.execute(
        update(Edits)
        .where(
            Edits.digest_id.is_(None),
            Edits.lead_id == article_id,
            Edits.schedule_id.in_(
                select(Schedule.id).where(Schedule.newsletter_id == newsletter.id)
            ),
        )
        .values(lead_id=None)
        .execution_options(synchronize_session=False)
    )
    session.refresh(edits)


def _check_lead(
    session: Session, newsletter: Newsletter, schedule: Schedule, slot: Slot, article_id: int
) -> None:
    if schedule.holds is Holds.NONE:
        raise Refused("a letter has no articles, so none can lead; leave out --lead")
    check_in_newsletter(session, newsletter, article_id)
    source = source_at(schedule, slot).subquery()
    if session.scalar(select(source).where(source.c.article_id == article_id)) is None:
        check_not_closed(session, article_id)
        raise Refused(
            f"article {article_id} is not a candidate for slot {slot.name}: it is withdrawn, dropped, "
            f"too old, or published later; `mailer digest plan {newsletter.slug}/{schedule.name}` "
            "shows what there is"
        )


def check_not_closed(session: Session, article_id: int) -> None:
    """Check that no digest that held the article was purged.

    Raises:
        Refused: one was; nobody can tell any more who has had the article.
    """
    if session.scalar(select(Article.closed_at).where(Article.id == article_id)) is not None:
        raise Refused(
            f"article {article_id} is closed: a digest that held it is older than the retention, so nobody "
            "can tell who has had it; leave it out, or use `mailer article add` with another --url"
        )


def check_in_newsletter(session: Session, newsletter: Newsletter, article_id: int) -> None:
    """Check that the article is in the newsletter.

    Raises:
        NotFound: it is not.
    """
    listing = f"`mailer article list --newsletter {newsletter.slug}` shows"
    if session.get(Article, article_id) is None:
        raise NotFound(f"there is no article {article_id}; {listing} them")
    if session.get(NewsletterArticle, (newsletter.id, article_id)) is None:
        raise NotFound(
            f"article {article_id} is not in {newsletter.slug}; {listing} those that are"
        )
