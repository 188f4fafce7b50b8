"""Prepares a person's consent log for people to read: local times, and which link confirmed what. Pure.

Never leaves an event out, and never puts words into anybody's mouth: sentences are shown as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mailer.clock import zone
from mailer.models import ConsentKind
from mailer.subscribers.readers import ConsentEventView

if TYPE_CHECKING:
    from mailer.templating.templates import Templates


@dataclass(frozen=True)
class ShownEvent:
    """A consent event as a document shows it.

    Attributes:
        local: when it happened in the zone of its schedule, as ISO 8601 without a zone; None in UTC.
        requested_at: when the sign-up was made whose link confirmed this.
    """

    event: ConsentEventView
    local: str | None
    requested_at: datetime | None


def shown_events(events: Sequence[ConsentEventView]) -> list[ShownEvent]:
    """Return these events of one person, in their order."""
    requested: dict[int, datetime] = {}
    for event in events:
        if event.kind is ConsentKind.REQUESTED and event.signup is not None:
            requested.setdefault(event.signup, event.at)
    return [
        ShownEvent(
            event,
            _local(event),
            requested.get(event.signup or 0) if event.kind is ConsentKind.CONFIRMED else None,
        )
        for event in events
    ]


def render_consent_record(
    templates: "Templates",
    address: str,
    events: Sequence[ConsentEventView],
    language: str,
    *,
    now: datetime,
) -> str:
    """Render a page that stands alone: nothing is loaded from elsewhere, and it can be printed.

    Raises:
        BadTemplate: the template cannot be rendered.
    """
    context = {"address": address, "events": shown_events(events), "made_at": now}
    return templates.render("document/consent.html", language, context)


def _local(event: ConsentEventView) -> str | None:
    if event.zone in {None, "UTC"}:
        return None
    return event.at.astimezone(zone(event.zone)).replace(tzinfo=None).isoformat()
