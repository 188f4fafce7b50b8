"""A builder with a renderer that needs no templates, for tests of what is built."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from mailer.clock import Times
from mailer.db import Database
from mailer.digests.build.builder import Builder
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.message.content import Content
from mailer.models import Article, Edits, Newsletter, Schedule
from mailer.notices.alert import Alerts


def render_plainly(
    newsletter: Newsletter,
    slot: Slot,
    articles: Sequence[Article],
    more: int,
    edits: Edits | None = None,
    headlines: Collection[int] = (),
) -> Content:
    text = "\n".join(article.title for article in articles)
    return Content(
        language=newsletter.language,
        from_name=newsletter.from_name,
        from_address=newsletter.from_address,
        reply_to=newsletter.reply_to,
        subject=(edits and edits.subject) or f"{newsletter.title} {slot.name}",
        html=f"<p>{text}</p>",
        text=f"{text}\nand {more} more",
        marker="XKTEST",
    )


def builder(
    database: Database,
    now: Callable[[], datetime] | datetime,
    *,
    lease: float = 60,
    render: Callable[..., Content] = render_plainly,
    alerts: Alerts | None = None,
) -> Builder:
    wall = now if callable(now) else (lambda: now)
    return Builder(
        database,
        Times(wall=wall),
        render=render,
        lease=timedelta(seconds=lease),
        alerts=alerts,
    )


def build_due(one: Builder, database: Database, schedule_id: int, now: datetime) -> int | None:
    """Build what is due, as the scheduler does."""
    with database.read() as session:
        due = slot_lookup.due(session, session.get_one(Schedule, schedule_id), now=now)
    return one.build_due(schedule_id, due)
