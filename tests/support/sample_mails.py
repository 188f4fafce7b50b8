"""Makes a newsletter's look, stories and editions for tests of mails, and the bytes that they become."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from mailer.digests.build.render import Story, render_edition
from mailer.digests.schedules.calendar import Slot
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.headers import digest_headers, notice_headers, reader_headers
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField
from mailer.models import NoticeKind
from mailer.templating.templates import Templates

LOOK = Look(
    slug="gazette",
    title="The Harbour Gazette",
    language="en",
    from_name="The Harbour Gazette",
    from_address="news@gazette.example",
    reply_to=None,
    postal_address="1 Quay Street\nMerrowhaven",
    logo_url=None,
    color="#14507a",
    publisher="Merrowhaven Press",
)
FIELDS = {
    ReaderField.GREETING: "Hello Anna,",
    ReaderField.UNSUBSCRIBE: "https://mail.gazette.example/unsubscribe/token",
    ReaderField.CONFIRM: "https://mail.gazette.example/confirm/token",
    ReaderField.NOTME: "https://mail.gazette.example/not-me/token",
    ReaderField.PREFERENCES: "https://mail.gazette.example/preferences/token",
    ReaderField.DATA: "https://mail.gazette.example/data/token",
    ReaderField.ERASE: "https://mail.gazette.example/erase/token",
    ReaderField.STOP: "https://mail.gazette.example/review/token-to-stop",
    ReaderField.SEND: "https://mail.gazette.example/review/token-to-send",
}
BASE_URL = "https://mail.gazette.example"
TITLES = ("The Harbour Gazette", "Вечер {{7*7}} <b>")
NOTICES: dict[NoticeKind, dict[str, Any]] = {
    NoticeKind.CONFIRMATION: {"titles": TITLES, "expires_on": date(2026, 12, 1)},
    NoticeKind.ADDRESS_CHANGE: {"titles": TITLES, "expires_on": date(2026, 12, 1)},
    NoticeKind.ALREADY: {"titles": TITLES, "preferences_url": f"{BASE_URL}/preferences"},
    NoticeKind.PREFERENCES: {},
    NoticeKind.DATA: {},
    NoticeKind.ERASE: {},
    NoticeKind.ALERT: {
        "at": "2026-11-24T06:00:00Z",
        "reason": "<b>554</b> 5.7.1 we do not like this",
        "digest": {
            "id": 12,
            "schedule": "gazette/morning",
            "slot": "2026-11-24T07:00",
            "sent": 20,
            "pending": 3000,
            "failed": 7,
            "in_doubt": 1,
        },
        "commands": {
            "show": "mailer digest show 12",
            "resume": "mailer digest resume 12",
            "cancel": "mailer digest cancel 12",
        },
    },
    NoticeKind.REPORT: {
        "digest": {
            "id": 12,
            "schedule": "gazette/morning",
            "slot": "2026-11-24T07:00",
            "subject": "<b>Fair</b> & {{7*7}}",
            "status": "sent",
            **dict.fromkeys(("total", "pending", "sent", "failed"), 3000),
            **dict.fromkeys(("skipped", "unknown", "cancelled", "in_doubt"), 1),
        },
        "failures": [("bad_mailbox", 5), ("mailbox_full", 4), ("policy", 3), ("unsendable", 2)],
        "domains": [("reader.example", 9), ("xn--h1aan.example", 2)],
        "left": 2,
        "returned": {
            **dict.fromkeys(("attempts", "sent"), 3000),
            "hard": 12,
            "soft": 7,
            "complaints": 3,
            "hard_rate": 0.004,
            "complaint_rate": 0.001,
        },
        "returned_reasons": [("user_unknown", 12), ("mailbox_full", 7), ("abuse", 3)],
        "returned_domains": [
            {"domain": "reader.example", "attempts": 1200, "hard": 9, "soft": 5, "complaints": 3},
            {"domain": "xn--h1aan.example", "attempts": 4, "hard": 3, "soft": 2, "complaints": 0},
        ],
        "command": "mailer digest show 12",
    },
}
_MISSING = {"schedule": "gazette/morning", "slot": "2026-11-24T07:00"}
_ALERTS: dict[str, dict[str, Any]] = {
    "all sending": {"commands": {"show": "mailer status", "resume": "mailer resume"}},
    "sign-ups": {"signups": True, "commands": {"show": "mailer status"}},
    "a feed": {
        "feed": {"title": "Port & <b>sea</b>", "url": "https://gazette.example/feed?a=1&b=2"},
        "commands": ["mailer feed accept gazette/port", "mailer feed discard gazette/port"],
    },
    "a build": {
        "missing": _MISSING | {"late": False},
        "commands": ["mailer digest preview gazette/morning --slot 2026-11-24T07:00"],
    },
    "a late digest": {
        "missing": _MISSING | {"late": True},
        "commands": ["mailer status", "mailer digest plan gazette/morning"],
    },
    "returned mail": {
        "mailbox": {"since": "2026-11-23T06:00:00Z"},
        "commands": ["mailer bounce fetch"],
    },
    "no recent backup": {
        "backup": {"since": "2026-11-21T02:00:00Z"},
        "commands": ["mailer status", "mailer db backup FILE"],
    },
    "no backup at all": {
        "backup": {"since": None},
        "commands": ["mailer status", "mailer db backup FILE"],
    },
    "bounces": {
        "bounced": {"id": 12, "schedule": "gazette/morning", "slot": "2026-11-24T07:00"},
        "commands": {"show": "mailer digest report 12"},
    },
    "complaints": {
        "complaints": {"id": 12, "schedule": "gazette/morning", "slot": "2026-11-24T07:00"},
        "commands": {"show": "mailer digest report 12"},
    },
    "a sender": {
        "sender": {"title": "Port & <b>sea</b>"},
        "commands": ["mailer newsletter show gazette", "mailer status"],
    },
}
_REASON = {"at": "2026-11-24T06:00:00Z", "reason": "554 5.7.1 <b>not</b> & never", "digest": None}
ALERTS = {f"alert about {subject}": _REASON | context for subject, context in _ALERTS.items()}
"""The alerts that are about no digest."""
NUMBERS: dict[str, Any] = {
    "schedule": "gazette/morning",
    "at": "07:00",
    "date": date(2026, 11, 24),
    "zone": "Asia/Yerevan",
    "readers": 3011,
    "editions": 2,
    "excluded": 3,
    "carried_over": 21,
    "expiring": 1,
}
"""What a review tells beside the digest."""


def look(**values: Any) -> Look:
    """The look, with `values` in place of some of its own."""
    return replace(LOOK, **values)


def story(number: int = 1, **values: Any) -> Story:
    """A story of an edition."""
    defaults: dict[str, Any] = {
        "id": number,
        "title": f"Story {number}",
        "url": f"https://gazette.example/news/{number}",
        "summary_html": f"<p>What happened in story {number}.</p>",
        "author": "Ines Calloway",
        "image_url": None,
        "published_at": datetime(2026, 11, 23, 22, 0, tzinfo=UTC),
    }
    return Story(**(defaults | values))


def always(letter: str) -> Callable[[int], bytes]:
    """Randomness that is the same each time."""
    return lambda length: letter.encode() * length


def slot_in(zone: tzinfo) -> Slot:
    """The slot of 24 November in that zone."""
    due_at = datetime(2026, 11, 24, 6, tzinfo=zone)
    return Slot(due_at.astimezone(UTC), "2026-11-24T06:00", due_at)


def edition(*stories: Story, templates: Templates | None = None, **values: Any) -> Content:
    """The content of an edition with these stories."""
    defaults: dict[str, Any] = {
        "look": LOOK,
        "more_count": 0,
        "slot": slot_in(ZoneInfo("Asia/Yerevan")),
        "edits": None,
        "base_url": BASE_URL,
        "random": always("x"),
    }
    return render_edition(templates or Templates(), stories=stories, **(defaults | values))


def digest_mail(content: Content) -> bytes:
    """The bytes of a digest with this content, as they go to one reader."""
    headers = digest_headers(
        digest_id=1,
        slug=LOOK.slug,
        title=LOOK.title,
        list_id="gazette.gazette.example",
        from_address=content.from_address,
        help_url=f"{BASE_URL}/preferences",
    )
    return _mail(
        content,
        headers,
        reader_headers(delivery_id=1, unsubscribe_url=FIELDS[ReaderField.UNSUBSCRIBE]),
    )


def notice_mail(content: Content) -> bytes:
    """The bytes of a notice with this content."""
    return _mail(content, notice_headers(title=LOOK.title, list_id="gazette.gazette.example"), b"")


def _mail(content: Content, headers: Any, personal: bytes) -> bytes:
    compiled = compile_mail(content, headers)
    return compiled.render(
        to="anna@reader.example",
        message_id="<d1.abc@gazette.example>",
        date=datetime(2026, 11, 24, 6, 0, tzinfo=UTC),
        headers=personal,
        fields={name: FIELDS[name] for name in compiled.fields},
    )
