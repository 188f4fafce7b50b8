import re
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailer.bounces.reasons import Reason
from mailer.db import Database
from mailer.lint import judge
from mailer.lint.html_page import visible_text
from mailer.message.content import Content
from mailer.message.reader_fields import ReaderField, split_text
from mailer.models import DeliveryStatus, Notice, NoticeKind
from mailer.notices.notice import queue_notice, render_notice
from mailer.sending.compiled_content import content_of
from mailer.templating.templates import Templates
from tests.support import factories
from tests.support.factories import NOW
from tests.support.processes import ROOT
from tests.support.sample_mails import BASE_URL, NOTICES, TITLES, always, look, notice_mail

LINKS = {
    NoticeKind.CONFIRMATION: [ReaderField.CONFIRM, ReaderField.NOTME],
    NoticeKind.DATA: [ReaderField.DATA],
    NoticeKind.ERASE: [ReaderField.ERASE],
    NoticeKind.ADDRESS_CHANGE: [ReaderField.CONFIRM, ReaderField.NOTME],
    NoticeKind.ALREADY: [],
    NoticeKind.PREFERENCES: [ReaderField.PREFERENCES],
    NoticeKind.ALERT: [],
    NoticeKind.REPORT: [],
}
KINDS = pytest.mark.parametrize("kind", NOTICES)


def rendered(kind: NoticeKind, language: str = "en", **values: Any) -> Content:
    return render_notice(Templates(), kind, look(**values), language, NOTICES[kind], always("n"))


def test_every_kind_has_a_template_but_those_that_are_digests() -> None:
    assert set(NoticeKind) - {NoticeKind.TEST, NoticeKind.REVIEW} == set(NOTICES)


@KINDS
def test_both_parts_hold_the_links_once(kind: NoticeKind) -> None:
    content = rendered(kind)
    for part in (content.html, content.text):
        assert list(split_text(part, content.marker).fields) == LINKS[kind]
    assert split_text(content.subject, content.marker).fields == ()


@KINDS
@pytest.mark.parametrize("language", ["en", "hy", "ar"])
def test_the_mail_has_no_fault(kind: NoticeKind, language: str) -> None:
    assert judge(notice_mail(rendered(kind, language))) == ()


@KINDS
def test_there_is_no_image_and_no_style_sheet(kind: NoticeKind) -> None:
    html = rendered(kind, logo_url="https://gazette.example/logo.png").html
    assert not re.search("<img|<style|<link|url\\(|https://gazette.example/logo", html)


@KINDS
def test_the_only_colours_are_the_newsletters_and_a_grey_line(kind: NoticeKind) -> None:
    html = rendered(kind, color="#f2c14e").html
    assert set(re.findall("#[0-9a-f]{6}", html)) <= {"#f2c14e", "#1c1c1e", "#c8c8cc"}


@KINDS
def test_who_writes_stands_in_both_parts(kind: NoticeKind) -> None:
    content = rendered(kind, privacy_url="https://gazette.example/privacy")
    for part in (content.html, content.text):
        for words in ("Merrowhaven Press", "1 Quay Street", "https://gazette.example/privacy"):
            assert words in part
    assert content.from_name == "The Harbour Gazette"
    assert content.from_address == "news@gazette.example"


def test_a_confirmation_says_what_for_until_when_and_that_nothing_need_be_done() -> None:
    content = rendered(NoticeKind.CONFIRMATION)
    assert content.subject == "Confirm your subscription to The Harbour Gazette, Вечер {{7*7}} <b>"
    for part in (visible_text(content.html), content.text):
        words = " ".join(part.split())
        for title in TITLES:
            assert title in words
        assert "Someone, probably you, asked us" in words
        assert "If you do nothing, you won’t be subscribed" in words
        assert "1 December 2026" in words
        assert "Not you? Cancel this request." in words


def test_a_long_title_stays_one_line_of_subject() -> None:
    context = {"titles": ["Two\r\nlines"], "expires_on": date(2026, 12, 1)}
    made = render_notice(Templates(), NoticeKind.CONFIRMATION, look(), "en", context, always("n"))
    assert made.subject == "Confirm your subscription to Two lines"


def test_somebody_who_subscribes_already_is_told_so() -> None:
    content = rendered(NoticeKind.ALREADY)
    assert content.subject.startswith("You’re already subscribed to The Harbour Gazette")
    for part in (content.html, content.text):
        assert f"{BASE_URL}/preferences" in part
        assert "Nothing has changed" in part


def test_a_link_to_preferences_says_how_long_it_lives() -> None:
    content = rendered(NoticeKind.PREFERENCES)
    for part in (content.html, content.text):
        assert "one hour" in part


@KINDS
def test_lines_of_the_text_are_short(kind: NoticeKind) -> None:
    assert max(map(len, rendered(kind).text.splitlines())) <= 72


def test_a_notice_waits_to_be_sent_with_all_it_says(database: Database) -> None:
    content = rendered(NoticeKind.CONFIRMATION)
    later = NOW + timedelta(hours=1)
    given: dict[str, Any] = {"address": "anna@reader.example", "key_hash": "hash"}
    given |= {"content": content, "now": NOW}
    with database.write() as session:
        at_once = queue_notice(
            session,
            kind=NoticeKind.CONFIRMATION,
            newsletter_id=factories.newsletter(session).id,
            rate_key="anna@reader.example",
            **given,
        )
        held = queue_notice(session, kind=NoticeKind.ALREADY, not_before=later, **given)
        assert at_once is not None
        assert held == at_once + 1
    with database.read() as session:
        first, second = session.scalars(select(Notice).order_by(Notice.id))
        assert content_of(first) == content
        assert (first.status, first.attempts) == (DeliveryStatus.QUEUED, 0)
        assert (first.next_attempt_at, first.created_at, first.not_before) == (NOW, NOW, None)
        assert first.rate_key == "anna@reader.example"
        assert first.newsletter_id is not None
        assert (second.next_attempt_at, second.not_before) == (later, later)
        assert second.newsletter_id is None


def test_a_report_says_in_words_why_mails_came_back() -> None:
    content = rendered(NoticeKind.REPORT)
    for part in (content.text, visible_text(content.html)):
        assert "mailbox does not exist (user_unknown)" in " ".join(part.split())
        assert "reported as spam (abuse)" in " ".join(part.split())


def test_every_reason_with_words_in_a_report_exists() -> None:
    template = (ROOT / "templates/mail/report.reasons.txt").read_text()
    macro = template.partition("macro returned_reason")[2]
    words = re.findall(r'^  "([a-z_]+)":', macro, re.MULTILINE)
    assert set(words) <= {reason.value for reason in Reason}
    assert len(words) > 10
