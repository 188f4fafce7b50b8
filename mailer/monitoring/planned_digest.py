"""Reads what a coming digest would hold and for whom, and what staff changed in it. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.digests.build.editions import Render, render_editions
from mailer.digests.editing import edits
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import article_queries, explain
from mailer.digests.selection import plan as planning
from mailer.digests.selection.plan import Plan
from mailer.digests.summary import Printed
from mailer.models import Article, Edits, Newsletter, Schedule
from mailer.monitoring.digest_target import DigestTarget
from mailer.monitoring.reader_standing import read_standing_of
from mailer.tokens import Keys


@dataclass(frozen=True)
class PlannedEdition:
    """What some readers would get, and how many more articles are due to them."""

    articles: Sequence[Printed]
    readers: int
    more: int


@dataclass(frozen=True)
class ExplainedArticle(Printed):
    """An article that a reader does not get, and why."""

    why: str


@dataclass(frozen=True)
class PlannedReader:
    """What one reader would get, or why nothing: `reason` as it is counted, `told` in words."""

    address: str
    schedule: str | None
    articles: Sequence[Printed]
    reason: str | None
    told: str | None
    others: Sequence[ExplainedArticle]


@dataclass(frozen=True)
class PlannedDigest:
    """What would be sent at a slot.

    Attributes:
        reason: why nothing would be sent, if that is so.
        carried_over: articles that are due to some readers and wait for a later digest.
        expiring: how many of these will be too old before there is a place for them.
        excluded: readers who get nothing, by reason.
        articles: the newsletter's articles, by what becomes of them.
        subject: that of most readers.
        reader: what one reader would get, if that was asked for.
    """

    newsletter: str
    schedule: str
    slot: str
    due_at: datetime
    zone: str
    would_send: bool
    reason: str | None
    editions: Sequence[PlannedEdition]
    carried_over: int
    expiring: int
    excluded: Mapping[str, int]
    articles: Mapping[str, int]
    subject: str | None
    edits: Mapping[str, Any] | None
    reader: PlannedReader | None


def read_plan(
    session: Session,
    target: DigestTarget,
    reader: Address | None,
    *,
    keys: Keys,
    render: Render,
    now: datetime,
) -> PlannedDigest:
    """Plan a digest as a build would at this moment.

    Args:
        reader: whose part in it to explain.

    Raises:
        NotFound: no subscriber has the reader's address.
        BadMessage: no mail can be made of an edition.
        BadTemplate: a template cannot be rendered.
    """
    schedule = target.schedule
    plan, rendered = render_editions(
        planning.plan_digest(session, schedule, target.slot), target.newsletter, render
    )
    reason = _why_not_sent(session, target, plan)
    return PlannedDigest(
        newsletter=target.newsletter.slug,
        schedule=schedule.name,
        slot=target.slot.name,
        due_at=target.slot.due_at,
        zone=schedule.zone,
        would_send=reason is None,
        reason=reason,
        editions=[
            PlannedEdition(
                [_printed(article) for article in planning.articles_of(plan, cohort)],
                cohort.readers,
                cohort.more,
            )
            for cohort in plan.choice.cohorts
        ],
        carried_over=len(plan.choice.carried_over),
        expiring=planning.expiring(schedule, plan),
        excluded=planning.excluded(session, schedule, plan),
        articles=explain.ends(session, schedule, plan),
        subject=rendered[0][1].subject if rendered else None,
        edits=_edits(session, plan.edits) if plan.edits else None,
        reader=_reader(session, keys, target, plan, reader, now) if reader else None,
    )


def read_edits(
    session: Session, newsletter: Newsletter, schedule: Schedule, *, now: datetime
) -> dict[str, Any]:
    """Read what staff changed in a schedule's coming digest, and for which slot it is.

    Raises:
        BadSchedule: the schedule's rule cannot be parsed.
    """
    slot = slot_lookup.next_free_slot(session, schedule, now=now)
    return {
        "schedule": f"{newsletter.slug}/{schedule.name}",
        "slot": slot.name if slot else None,
        "due_at": slot.due_at if slot else None,
        "zone": schedule.zone,
        "holds": schedule.holds,
        **_edits(session, article_queries.load_edits(session, schedule.id, None)),
    }


def _edits(session: Session, row: Edits | None) -> dict[str, Any]:
    return {
        "subject": row.subject if row else None,
        "intro": row.intro_text if row else None,
        "lead": row.lead_id if row else None,
        "dropped": list(edits.dropped(session, row)) if row else [],
    }


def _why_not_sent(session: Session, target: DigestTarget, plan: Plan) -> str | None:
    digest = slot_lookup.digest_at(session, target.schedule, target.slot)
    if digest is not None:
        return f"this slot has its digest already: {digest.id}"
    if target.schedule.paused_at is not None:
        return f"the schedule is paused; `mailer schedule resume {target.reference}` resumes it"
    return plan.reason


def _reader(
    session: Session,
    keys: Keys,
    target: DigestTarget,
    plan: Plan,
    address: Address,
    now: datetime,
) -> PlannedReader:
    standing = read_standing_of(session, keys, target, plan, address, now=now)
    articles = planning.articles_of(plan, standing.cohort) if standing.cohort else []
    return PlannedReader(
        address=address.typed,
        schedule=standing.schedule,
        articles=[_printed(article) for article in articles],
        reason=standing.reason,
        told=standing.told,
        others=[
            ExplainedArticle(article.id, article.title, article.url, why)
            for article, why in explain.of_reader(session, target.schedule, plan, address.key)
            if why != explain.DUE
        ],
    )


def _printed(article: Article) -> Printed:
    return Printed(article.id, article.title, article.url)
