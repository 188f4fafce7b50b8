"""Renders every mail once with invented news, so that a broken template fails at the start, not at a slot.

Never keeps or sends a mail.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.build.render import Story, render_edition
from mailer.digests.schedules.calendar import Slot
from mailer.digests.staff_mail.review import with_review_header
from mailer.message.compose import compile_mail
from mailer.message.look import Look
from mailer.models import Edits, Newsletter, NoticeKind
from mailer.notices.notice import render_notice
from mailer.templating.templates import SOURCE_LANGUAGE, Templates

_SITE: Final = "https://gazette.example"
_AT: Final = datetime(2026, 11, 24, 7, tzinfo=UTC)
_DAY: Final = _AT.date()
_SLOT: Final = Slot(_AT, "2026-11-24T07:00", _AT)
_RICH: Final = Look(
    slug="gazette",
    title="The Gazette",
    language=SOURCE_LANGUAGE,
    from_name="The Gazette",
    from_address="news@gazette.example",
    reply_to="editors@gazette.example",
    postal_address="1 Quay Street\nSampletown",
    logo_url=f"{_SITE}/logo.png",
    color="#14507a",
    publisher="Sampletown Press",
    privacy_url=f"{_SITE}/privacy",
)
_BARE: Final = replace(
    _RICH,
    reply_to=None,
    postal_address="1 Quay Street",
    logo_url=None,
    publisher="The Gazette",
    privacy_url=None,
    pictures=False,
)
_TITLES: Final = {"titles": ["The Gazette", "Sport"]}
_PAUSED: Final[Mapping[str, object]] = {
    "at": "2026-11-24T06:00:00Z",
    "reason": "554 refused",
    "commands": dict.fromkeys(("show", "resume", "cancel"), "mailer digest show 1"),
}
_DIGEST: Final[Mapping[str, object]] = {
    "id": 1,
    "schedule": "gazette/morning",
    "slot": "2026-11-24T07:00",
    **dict.fromkeys(("sent", "pending", "failed", "in_doubt"), 1),
}
_NUMBERS: Final[Mapping[str, object]] = {
    "schedule": "gazette/morning",
    "at": "07:00",
    "date": _DAY,
    "zone": "Europe/Paris",
    **dict.fromkeys(("readers", "editions", "excluded", "carried_over", "expiring"), 2),
}
_REPORT: Final[Mapping[str, object]] = {
    "digest": {
        **_DIGEST,
        "subject": "Story 1",
        "status": "sent",
        **dict.fromkeys(("total", "skipped", "unknown", "cancelled"), 1),
    },
    "left": 1,
    "command": "mailer digest show 1",
}
_CAME_BACK: Final[Mapping[str, object]] = {
    "returned": {
        **dict.fromkeys(("attempts", "sent", "hard", "soft", "complaints"), 1),
        **dict.fromkeys(("hard_rate", "complaint_rate"), 0.5),
    },
    "returned_reasons": [("user_unknown", 1)],
    "returned_domains": [
        {"domain": "a.example", "attempts": 1, "hard": 1, "soft": 1, "complaints": 1}
    ],
}
_NOTHING_CAME_BACK: Final[Mapping[str, object]] = {
    "returned": {
        **dict.fromkeys(("attempts", "sent"), 1),
        **dict.fromkeys(("hard", "soft", "complaints", "hard_rate", "complaint_rate"), 0),
    },
    "returned_reasons": [],
    "returned_domains": [],
}
_STOPPED: Final[Mapping[str, object]] = {**_PAUSED, "digest": None}
_NOTICES: Final[Sequence[tuple[NoticeKind, Mapping[str, object]]]] = (
    (NoticeKind.CONFIRMATION, {**_TITLES, "expires_on": _DAY}),
    (NoticeKind.ADDRESS_CHANGE, {**_TITLES, "expires_on": _DAY}),
    (NoticeKind.ALREADY, {**_TITLES, "preferences_url": f"{_SITE}/preferences"}),
    (NoticeKind.PREFERENCES, {}),
    (NoticeKind.DATA, {}),
    (NoticeKind.ERASE, {}),
    (NoticeKind.ALERT, {**_PAUSED, "digest": _DIGEST}),
    *(
        (NoticeKind.ALERT, {**_STOPPED, **reason})
        for reason in (
            {},
            {"signups": True},
            {
                "feed": {"title": "The Gazette", "url": f"{_SITE}/feed"},
                "commands": [f"mailer feed accept {_SITE}/feed"],
            },
            {"missing": {**_DIGEST, "late": False}, "commands": ["mailer status"]},
            {"missing": {**_DIGEST, "late": True}, "commands": ["mailer status"]},
            {"bounced": _DIGEST, "commands": {"show": "mailer digest report 1"}},
            {"complaints": _DIGEST, "commands": {"show": "mailer digest report 1"}},
            {"mailbox": {"since": _PAUSED["at"]}, "commands": ["mailer bounce fetch"]},
            {"sender": {"title": "The Gazette"}, "commands": ["mailer newsletter show gazette"]},
        )
    ),
    (
        NoticeKind.REPORT,
        {
            **_REPORT,
            **_CAME_BACK,
            "failures": [("policy", 1)],
            "domains": [("a.example", 1)],
        },
    ),
    (NoticeKind.REPORT, {**_REPORT, **_NOTHING_CAME_BACK, "failures": [], "domains": []}),
)


def languages_in_use(session: Session) -> frozenset[str]:
    """List the languages of the newsletters."""
    return frozenset(session.scalars(select(Newsletter.language).distinct()))


def check_templates(templates: Templates, languages: Iterable[str] = ()) -> None:
    """Render every mail in English, with as much in it as it may have, and with as little.

    Args:
        languages: those of the newsletters, which are checked too: a template may ask for one.

    Raises:
        BadTemplate: a template cannot be rendered.
        BadMessage: no mail can be made of what a template made.
    """
    rich = [
        _story(1, author="Ines Calloway", image_url=f"{_SITE}/1.jpg"),
        _story(2, author="Ines Calloway", image_url=f"{_SITE}/2.jpg"),
        _story(3),
    ]
    introduction = Edits(intro_html="<p>Good morning.</p>", intro_text="Good morning.")
    editions: Sequence[tuple[Look, Sequence[Story], int, Edits | None]] = (
        (_RICH, rich, 2, introduction),
        (_BARE, [_story(1)], 0, None),
        # A letter.
        (_BARE, [], 0, introduction),
    )
    for language in sorted({SOURCE_LANGUAGE, *languages}):
        for plain_look, stories, more, edits in editions:
            look = replace(plain_look, language=language)
            content = render_edition(
                templates, look, _SLOT, stories, more, edits, base_url=_SITE, random=bytes
            )
            compile_mail(with_review_header(content, templates, look, _NUMBERS))
            for kind, context in _NOTICES:
                render_notice(templates, kind, look, language, context, bytes)


def _story(number: int, *, author: str | None = None, image_url: str | None = None) -> Story:
    return Story(
        id=number,
        title=f"Story {number}",
        url=f"{_SITE}/news/{number}",
        summary_html=f"<p>What happened in story {number}.</p>" if author else "",
        author=author,
        image_url=image_url,
        published_at=_SLOT.due_at,
    )
