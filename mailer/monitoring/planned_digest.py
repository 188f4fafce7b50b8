"""Reads what a coming digest would hold and for whom, and what staff changed in it. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.digests.build.editions import Render, render_editions
from mailer.digests.editing import edits
from mailer.digests.listings import PrintedArticle
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import article_queries, explain
from mailer.digests.selection import plan as planning
from mailer.digests.selection.choose import Cohort
from mailer.digests.selection.plan import Plan
from mailer.models import Edits, Newsletter, Schedule
from mailer.monitoring.digest_reference import DigestTarget
from mailer.monitoring.reader_explanation import explain_reader
from mailer.tokens import Keys


@dataclass(frozen=True)
class PlannedEdition:
    """What some readers would get, and how many more articles are due to them."""

    articles: Sequence[PrintedArticle]
    readers: int
    more: int


def read_plan(
    session: Session,
    target: DigestTarget,
    reader: Address | None,
    *,
    keys: Keys,
    render: Render,
    now: datetime,
) -> dict[str, Any]:
    """Plan a digest as a build would at this moment, as `digest plan --json` prints it.

    Args:
        reader: whose part in it to explain, as `reader`.

    Raises:
        NotFound: no subscriber has the reader's address.
        BadMessage: no mail can be made of an edition.
        BadTemplate: a template cannot be rendered.
    """
    schedule = target.schedule
    plan, editions = render_editions(
        planning.plan_digest(session, schedule, target.slot), target.newsletter, render
    )
    reason = _why_not_sent(session, target, plan)
    data = {
        "newsletter": target.newsletter.slug,
        "schedule": schedule.name,
        "slot": target.slot.name,
        "due_at": target.slot.due_at,
        "zone": schedule.zone,
        "would_send": reason is None,
        "reason": reason,
        "editions": [
            PlannedEdition(_printed(plan, cohort), cohort.readers, cohort.more)
            for cohort in plan.choice.cohorts
        ],
        "carried_over": len(plan.choice.carried_over),
        "expiring": planning.expiring(schedule, plan),
        "excluded": planning.excluded(session, schedule, plan),
        "articles": explain.count_articles(session, schedule, plan),
        "subject": next((content.subject for _, content in editions), None),
        "edits": _edits(session, plan.edits) if plan.edits else None,
    }
    if reader is not None:
        explanation = explain_reader(session, keys, target, plan, reader, now=now)
        data["reader"] = {
            "address": reader.typed,
            "schedule": explanation.schedule,
            "articles": _printed(plan, explanation.cohort) if explanation.cohort else [],
            "reason": explanation.reason,
            "told": explanation.words,
            "others": [
                {"id": article.id, "title": article.title, "url": article.url, "why": why}
                for article, why in explain.explain_to_reader(session, schedule, plan, reader.key)
                if why != explain.DUE
            ],
        }
    return data


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


def _printed(plan: Plan, cohort: Cohort) -> list[PrintedArticle]:
    return [
        PrintedArticle(article.id, article.title, article.url)
        for article in planning.articles_of(plan, cohort)
    ]
