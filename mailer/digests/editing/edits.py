"""Staff's edits of a schedule's coming digest: typed in, cleared, used up by a build, and given back.

Whatever slot comes next takes them. Which articles they may name is checked here; what a digest looks like
with them is not.
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
class Changes:
    """What staff want of the coming digest; None leaves a thing as it is."""

    subject: str | None = None
    intro: "Intro | None" = None
    lead: int | None = None
    drop: Collection[int] = ()


def edit(
    session: Session, newsletter: Newsletter, schedule: Schedule, changes: Changes, *, now: datetime
) -> Edits:
    """Change the schedule's coming digest, whichever slot it is.

    A dropped article is in no digest of the newsletter any more; where it was to lead, it leads no more.

    Raises:
        NotFound: an article is not in the newsletter.
        Refused: no slot is to come, or an article cannot lead, or the text is too long or empty.
    """
    slot = _coming_slot(session, newsletter, schedule, now)
    _check_texts(schedule, changes)
    if changes.lead is not None and changes.lead in changes.drop:
        raise Refused(f"article {changes.lead} cannot lead and be dropped; give it once")
    found = _theirs(session, schedule, now)
    for article_id in changes.drop:
        _drop(session, newsletter, found, article_id, now)
    if changes.lead is not None:
        _check_lead(session, newsletter, schedule, slot, changes.lead)
        found.lead_id = changes.lead
    if changes.subject is not None:
        found.subject = " ".join(changes.subject.split())
    if changes.intro is not None:
        found.intro_html, found.intro_text = changes.intro.html, changes.intro.text
    found.updated_at = now
    session.flush()
    return found


def clear(session: Session, schedule: Schedule) -> bool:
    """Forget the edits of the coming digest, and take back what was dropped with them.

    Returns:
        False where there were none.

    Raises:
        Refused: the schedule is a letter, which is nothing without them.
    """
    found = article_queries.load_edits(session, schedule.id, None)
    if found is None:
        return False
    if schedule.holds is Holds.NONE:
        raise Refused(
            "a letter is nothing but its introduction; give it another one with --intro, "
            "or take it back with `mailer schedule remove`"
        )
    session.execute(delete(DroppedArticle).where(DroppedArticle.edits_id == found.id))
    session.delete(found)
    session.flush()
    return True


def dropped(session: Session, edits: Edits) -> Sequence[int]:
    """The articles that were dropped with these edits."""
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
    """Make the edits of a digest that is not sent those of the coming one again.

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
    newer.subject = newer.subject if newer.subject is not None else used.subject
    newer.lead_id = newer.lead_id if newer.lead_id is not None else used.lead_id
    if newer.intro_html is None:
        newer.intro_html, newer.intro_text = used.intro_html, used.intro_text
    session.execute(
        update(DroppedArticle)
        .where(DroppedArticle.edits_id == used.id)
        .values(edits_id=newer.id)
        .execution_options(synchronize_session=False)
    )
    session.delete(used)
    session.flush()


def _coming_slot(
    session: Session, newsletter: Newsletter, schedule: Schedule, now: datetime
) -> Slot:
    slot = slot_lookup.next_free_slot(session, schedule, now=now)
    if slot is None:
        reference = f"{newsletter.slug}/{schedule.name}"
        raise Refused(f"{reference} has no digest to come; see `mailer schedule show {reference}`")
    return slot


def _check_texts(schedule: Schedule, changes: Changes) -> None:
    if changes.subject is not None and not changes.subject.strip():
        raise Refused("an empty subject cannot be sent; leave out --subject, or give some words")
    if changes.intro is not None:
        longest = LONGEST_LETTER if schedule.holds is Holds.NONE else LONGEST_INTRO
        if len(changes.intro.html) > longest:
            raise Refused(
                f"the introduction has {len(changes.intro.html)} characters, and mail programs cut "
                f"off long mails; shorten it to {longest}"
            )


def _theirs(session: Session, schedule: Schedule, now: datetime) -> Edits:
    """The edits of the coming digest, new ones where there are none."""
    # Two who type at once must not make two.
    session.refresh(schedule, with_for_update=True)
    found = article_queries.load_edits(session, schedule.id, None)
    if found is None:
        found = Edits(schedule_id=schedule.id, updated_at=now)
        session.add(found)
        session.flush()
    return found


def _drop(
    session: Session, newsletter: Newsletter, edits: Edits, article_id: int, now: datetime
) -> None:
    check_place(session, newsletter, article_id)
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
        raise Refused("a letter holds no article that could lead; leave out --lead")
    check_place(session, newsletter, article_id)
    source = source_at(schedule, slot).subquery()
    if session.scalar(select(source).where(source.c.article_id == article_id)) is None:
        raise Refused(
            f"article {article_id} is no candidate for slot {slot.name}: it is withdrawn, dropped, "
            f"too old, or published later; `mailer digest plan {newsletter.slug}/{schedule.name}` "
            "shows what there is"
        )


def check_place(session: Session, newsletter: Newsletter, article_id: int) -> None:
    """Raise unless the article is in the newsletter."""
    if session.get(Article, article_id) is None:
        raise NotFound(
            f"there is no article {article_id}; "
            f"`mailer article list --newsletter {newsletter.slug}` shows them"
        )
    if session.get(NewsletterArticle, (newsletter.id, article_id)) is None:
        raise NotFound(
            f"article {article_id} is not in {newsletter.slug}; "
            f"`mailer article list --newsletter {newsletter.slug}` shows those that are"
        )
