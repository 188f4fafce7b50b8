"""The consent log as a page: who, which words, when, and by which link."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.models import ConsentKind
from mailer.subscribers.readers import ConsentEventView
from mailer.subscribers.rights.consent_record import render_consent_record, shown_events
from mailer.templating.templates import Templates

AT = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
WORDS = "Yes, send me <The Daily> & more."


def event(kind: ConsentKind, at: datetime = AT, **values: object) -> ConsentEventView:
    fields: dict[str, object] = {
        "at": at,
        "kind": kind,
        "address": "anna@example.com",
        "newsletter": "daily",
        "schedule": "morning",
        "source": "/confirm",
        "wording": WORDS,
        "language": "en",
        "publisher": "The Daily",
        "privacy_url": "https://news.example/privacy",
        "ip": "192.0.2.7",
        "user_agent": "<script>alert(1)</script>",
        "signup": 5,
        "zone": "Asia/Yerevan",
    }
    return ConsentEventView(**(fields | values))  # type: ignore[arg-type]


SIGN_UP_AND_CONFIRMATION = (
    event(ConsentKind.REQUESTED, AT - timedelta(hours=2)),
    event(ConsentKind.CONFIRMED),
)


def test_times_are_local_too_and_a_confirmation_names_its_sign_up() -> None:
    requested, confirmed = shown_events(SIGN_UP_AND_CONFIRMATION)
    assert confirmed.local == "2026-11-25T01:30:00"
    assert (requested.requested_at, confirmed.requested_at) == (None, AT - timedelta(hours=2))


@pytest.mark.parametrize("signup", [None, 6])
def test_a_confirmation_without_its_sign_up_names_none(signup: int | None) -> None:
    requested, _ = SIGN_UP_AND_CONFIRMATION
    _, confirmed = shown_events([requested, event(ConsentKind.CONFIRMED, signup=signup)])
    assert confirmed.requested_at is None


def test_a_lawyer_can_read_it() -> None:
    page = render_consent_record(
        Templates(), "anna@example.com", SIGN_UP_AND_CONFIRMATION, "en", now=AT
    )
    for text in (
        "anna@example.com",
        "Yes, send me &lt;The Daily&gt; &amp; more.",
        "24 November 2026, 21:30\N{NO-BREAK SPACE}UTC",
        "25 November 2026, 01:30 (Yerevan)",
        "after the sign-up on 24 November 2026, 19:30",
        "192.0.2.7",
        "https://news.example/privacy",
    ):
        assert text in page, text
    assert "<script" not in page


@pytest.mark.parametrize("kind", ConsentKind)
def test_every_kind_of_event_has_a_word_in_every_language(kind: ConsentKind) -> None:
    bare = event(kind, wording=None, address=None, ip=None, user_agent=None, zone=None)
    pages = {
        render_consent_record(Templates(), "", [bare], language, now=AT)
        for language in Templates().languages()
    }
    assert len(pages) == 5
