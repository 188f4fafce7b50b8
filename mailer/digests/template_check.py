"""A rehearsal: every mail is rendered once with invented news, so that a template of the operator's that
fails, fails at the start and not at a slot. Nothing of it is kept or sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.build.render import Story, render_edition
from mailer.digests.editing.introduction import Intro
from mailer.digests.staff_mail.review import above
from mailer.message.compose import compile_mail
from mailer.message.look import Look
from mailer.models import Newsletter, NoticeKind
from mailer.notices.notice import render_notice
from mailer.templating.templates import SOURCE_LANGUAGE, Templates

_SITE: Final = "https://gazette.example"
_DAY: Final = date(2026, 11, 24)
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
_BARE: Final = Look(
    slug="gazette",
    title="The Gazette",
    language=SOURCE_LANGUAGE,
    from_name="The Gazette",
    from_address="news@gazette.example",
    reply_to=None,
    postal_address="1 Quay Street",
    logo_url=None,
    color="#14507a",
    publisher="The Gazette",
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
_TOLD: Final[Sequence[tuple[NoticeKind, Mapping[str, object]]]] = (
    (NoticeKind.CONFIRMATION, {**_TITLES, "expires_on": _DAY}),
    (NoticeKind.ALREADY, {**_TITLES, "preferences_url": f"{_SITE}/preferences"}),
    (NoticeKind.PREFERENCES, {}),
    (NoticeKind.ALERT, {**_PAUSED, "digest": _DIGEST}),
    (NoticeKind.ALERT, {**_PAUSED, "digest": None}),
    (NoticeKind.ALERT, {**_PAUSED, "digest": None, "signups": True}),
    (
        NoticeKind.ALERT,
        {
            **_PAUSED,
            "digest": None,
            "feed": {"title": "The Gazette", "url": f"{_SITE}/feed"},
            "commands": [f"mailer feed accept {_SITE}/feed"],
        },
    ),
    *(
        (
            NoticeKind.ALERT,
            {
                **_PAUSED,
                "digest": None,
                "missing": {**_DIGEST, "late": late},
                "commands": ["mailer status"],
            },
        )
        for late in (False, True)
    ),
    (
        NoticeKind.ALERT,
        {
            **_PAUSED,
            "digest": None,
            "sender": {"title": "The Gazette"},
            "commands": ["mailer newsletter show gazette"],
        },
    ),
    (NoticeKind.REPORT, {**_REPORT, "failures": [("policy", 1)], "domains": [("a.example", 1)]}),
    (NoticeKind.REPORT, {**_REPORT, "failures": [], "domains": []}),
)


def languages_in_use(session: Session) -> frozenset[str]:
    """The languages that newsletters are in."""
    return frozenset(session.scalars(select(Newsletter.language).distinct()))


def check_templates(templates: Templates, languages: Iterable[str] = ()) -> None:
    """Render every mail in English, with as much in it as it may have, and with as little.

    Args:
        languages: those of the newsletters, which are rehearsed too: a template may ask for one.

    Raises:
        BadTemplate: a template cannot be rendered.
        BadMessage: no mail can be made of what a template made.
    """
    rich = [
        _piece(1, author="Ines Calloway", image_url=f"{_SITE}/1.jpg"),
        _piece(2, author="Ines Calloway", image_url=f"{_SITE}/2.jpg"),
        _piece(3, author=None, image_url=None),
    ]
    bare = [_piece(1, author=None, image_url=None)]
    intro = Intro("<p>Good morning.</p>", "Good morning.")
    scenes: Sequence[tuple[Look, Sequence[Story], int, Intro | None]] = (
        (_RICH, rich, 2, intro),
        (_BARE, bare, 0, None),
        # A letter.
        (_BARE, [], 0, intro),
    )
    for language, (plain, pieces, more, words) in product(
        sorted({SOURCE_LANGUAGE, *languages}), scenes
    ):
        look = replace(plain, language=language)
        content = render_edition(
            templates,
            look=look,
            pieces=pieces,
            more_count=more,
            slot_date=_DAY,
            zone=UTC,
            base_url=_SITE,
            random=bytes,
            intro=words,
        )
        compile_mail(above(content, templates, look, _NUMBERS))
        for kind, context in _TOLD:
            render_notice(templates, kind, look, language, context, bytes)


def _piece(number: int, *, author: str | None, image_url: str | None) -> Story:
    return Story(
        article_id=number,
        title=f"Story {number}",
        url=f"{_SITE}/news/{number}",
        summary_html=f"<p>What happened in story {number}.</p>" if author else "",
        author=author,
        image_url=image_url,
        published_at=datetime(2026, 11, 24, 5, tzinfo=UTC),
    )
