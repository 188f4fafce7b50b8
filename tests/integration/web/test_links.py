"""The pages behind the links of mails: what a press of the button does, and what it does not."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Notice,
    NoticeKind,
    Signup,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission.rule import may_mail
from mailer.tokens import Keys, Purpose
from tests.integration.web.conftest import Paper
from tests.support import factories
from tests.support.factories import NOW
from tests.support.website import Website

MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
WEEK = timedelta(days=7)
PAGES = (Purpose.CONFIRM, Purpose.NOT_ME, Purpose.UNSUBSCRIBE, Purpose.PREFERENCES)


def signed_up(website: Website, address: str = "new@example.com") -> Signup:
    by_id = select(Signup).where(Signup.address == address).order_by(Signup.id.desc()).limit(1)
    found: Signup = website.row(by_id)
    return found


def confirm_path(website: Website, address: str = "new@example.com") -> str:
    signup = signed_up(website, address)
    return website.link(Purpose.CONFIRM, signup.public_id, signup.expires_at)


def not_me_path(website: Website) -> str:
    signup = signed_up(website)
    return website.link(Purpose.NOT_ME, signup.public_id, signup.expires_at)


def unsubscribe_path(website: Website, subscription: Subscription) -> str:
    return website.link(Purpose.UNSUBSCRIBE, subscription.public_id)


def subscriptions(website: Website) -> list[Subscription]:
    return website.rows(select(Subscription).order_by(Subscription.id))


def mailable(website: Website) -> set[str]:
    """Addresses that a digest goes to."""
    return set(website.rows(select(Subscriber.address).join(Subscription).where(may_mail())))


def events(website: Website) -> list[tuple[ConsentKind, str]]:
    return [
        (one.kind, one.source)
        for one in website.rows(select(ConsentEvent).order_by(ConsentEvent.id))
    ]


def sign_up(website: Website, **fields: str | list[str]) -> None:
    base: dict[str, str | list[str]] = {"email": "new@example.com", "newsletter": "daily"}
    assert website.post("/subscribe", base | fields).status == 200


def test_the_button_subscribes_to_what_was_chosen_from_the_newest_article_on(
    website: Website, database: Database, paper: Paper
) -> None:
    with database.write() as session:
        newest = factories.articles(session, 3, paper.sport)[-1]
    sign_up(website, schedule="daily/weekly", name="  Anna \t B. ")
    path = confirm_path(website)

    page = website.get(path)
    before = website.content()
    answer = website.ask("POST", path)

    assert (page.status, page.body.count("<button")) == (200, 1)
    assert before["subscriber"] == []
    assert answer.status == 200
    assert "You’re subscribed" in answer.body
    (subscription,) = subscriptions(website)
    assert subscription.schedule_id == paper.weekly.id
    assert subscription.start_article == newest.id
    subscriber = website.row(select(Subscriber))
    confirmed = website.row(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.CONFIRMED))
    assert (subscriber.name, subscriber.address) == ("Anna B.", "new@example.com")
    assert 0 <= subscriber.public_id < 2**63
    assert (confirmed.ip, confirmed.user_agent) == ("127.0.0.1", "Browser/1")
    assert confirmed.wording_id is not None
    assert confirmed.signup_public_id == signed_up(website).public_id
    assert mailable(website) == {"new@example.com"}


def test_pressing_again_is_success_again_and_changes_nothing(website: Website) -> None:
    sign_up(website)
    path = confirm_path(website)
    first = website.post(path)
    before = website.content()
    website.pass_time(timedelta(minutes=5))

    assert website.post(path).body == first.body
    assert website.get(path).status == 200
    assert website.content() == before


def test_an_old_link_pressed_after_leaving_changes_nothing_and_a_new_one_works(
    website: Website,
) -> None:
    sign_up(website)
    used = confirm_path(website)
    website.pass_time(timedelta(minutes=10))
    sign_up(website, schedule="daily/weekly")
    unused = confirm_path(website)
    website.post(used)
    (subscription,) = subscriptions(website)
    website.post(unsubscribe_path(website, subscription), ONE_CLICK)
    before = website.content()

    for path in (used, unused):
        answer = website.post(path)
        assert answer.status == 410
        assert 'href="/subscribe/daily"' in answer.body
    assert website.content() == before

    website.pass_time(timedelta(minutes=10))
    sign_up(website)
    assert website.post(confirm_path(website)).status == 200
    assert mailable(website) == {"new@example.com"}
    assert [one.id for one in subscriptions(website)] == [subscription.id]


def test_an_old_link_for_two_newsletters_brings_back_none_that_was_left(
    website: Website, paper: Paper
) -> None:
    reader = website.reader(paper.morning, "new@example.com")
    sign_up(website, newsletter=["daily", "sport"])
    website.pass_time(timedelta(minutes=1))
    website.post(unsubscribe_path(website, reader), ONE_CLICK)

    assert website.post(confirm_path(website)).status == 200
    daily, sport = subscriptions(website)
    assert daily.left_at is not None
    assert (sport.schedule_id, sport.left_at) == (paper.sport_daily.id, None)


def test_a_link_has_its_time_and_then_tells_how_to_ask_anew(website: Website) -> None:
    sign_up(website)
    path = confirm_path(website)
    website.pass_time(WEEK - timedelta(seconds=1))
    assert website.get(path).status == 200
    website.pass_time(timedelta(seconds=1))

    for answer in (website.get(path), website.post(path)):
        assert answer.status == 410
        assert 'href="/"' in answer.body
    assert subscriptions(website) == []


def test_a_newsletter_that_was_closed_meanwhile_still_honours_its_link(
    website: Website, database: Database, paper: Paper
) -> None:
    sign_up(website)
    with database.write() as session:
        session.merge(paper.daily).closed = True
        session.merge(paper.morning).paused_at = NOW

    assert website.post(confirm_path(website)).status == 200
    assert mailable(website) == {"new@example.com"}


def test_confirming_changes_the_schedule_of_somebody_who_subscribes_already(
    website: Website, paper: Paper
) -> None:
    before = website.reader(paper.morning, "new@example.com", start_article=0)
    sign_up(website, schedule="daily/weekly")
    website.post(confirm_path(website))

    (after,) = subscriptions(website)
    assert (after.id, after.schedule_id) == (before.id, paper.weekly.id)
    assert (after.start_article, after.confirmed_at) == (before.start_article, before.confirmed_at)
    assert events(website)[-1] == (ConsentKind.CHANGED, "/confirm")


def test_a_second_newsletter_leaves_the_schedule_of_the_first_alone(
    website: Website, paper: Paper
) -> None:
    website.reader(paper.weekly, "new@example.com")
    sign_up(website, newsletter=["daily", "sport"])
    website.post(confirm_path(website))

    schedules = {one.schedule_id for one in subscriptions(website)}
    assert schedules == {paper.weekly.id, paper.sport_daily.id}


def test_confirming_lifts_a_bounce_and_no_other_suppression(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        for address, reason in (
            ("a@example.com", SuppressionReason.BOUNCED),
            ("b@example.com", SuppressionReason.COMPLAINED),
        ):
            old = NOW - timedelta(days=31)
            factories.suppression(session, keys, address, reason=reason, created_at=old)
            factories.signup(session, keys, paper.morning, address)

    for address in ("a@example.com", "b@example.com"):
        website.post(confirm_path(website, address))
    assert mailable(website) == {"a@example.com"}


def test_not_me_drops_the_request_and_mutes_the_address_for_that_newsletter(
    website: Website, paper: Paper
) -> None:
    sign_up(website)
    not_me, confirm = not_me_path(website), confirm_path(website)

    page = website.get(not_me)
    assert (page.status, page.body.count("<button")) == (200, 1)
    answer = website.ask("POST", not_me)
    content = website.content()
    again = website.post(not_me)

    assert (answer.status, again.body) == (200, answer.body)
    assert website.content() == content
    assert website.post(confirm).status == 410
    muted = website.row(select(Suppression))
    assert (muted.reason, muted.newsletter_id) == (SuppressionReason.NOT_ME, paper.daily.id)
    assert events(website)[-1] == (ConsentKind.REFUSED, "/not-me")
    assert subscriptions(website) == []


def test_not_me_also_stops_a_subscription_that_was_confirmed(website: Website) -> None:
    sign_up(website)
    for path in (confirm_path(website), not_me_path(website)):
        website.post(path)
    assert mailable(website) == set()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (MULTIPART, "multipart/form-data; boundary=x"),
    ],
)
def test_one_click_leaves_at_once_without_cookie_or_redirect(
    website: Website, paper: Paper, body: bytes, kind: str
) -> None:
    reader = website.reader(paper.morning)
    path = unsubscribe_path(website, reader)

    answers = [website.ask("POST", path, body, {"Content-Type": kind}) for _ in range(2)]

    for answer in answers:
        assert answer.status == 200
        assert not {"set-cookie", "location"} & answer.headers.keys()
    assert mailable(website) == set()
    (left,) = subscriptions(website)
    assert (left.left_at, left.left_reason) == (NOW, "reader")
    assert events(website) == [(ConsentKind.UNSUBSCRIBED, "/unsubscribe")]


@pytest.mark.parametrize(
    "body", [b"", b"List-Unsubscribe=Two-Clicks", b"other=1", b"schedule=none"]
)
def test_a_post_that_asks_for_nothing_shows_the_page_and_changes_nothing(
    website: Website, paper: Paper, body: bytes
) -> None:
    reader = website.reader(paper.morning)
    before = website.content()
    path = unsubscribe_path(website, reader)

    answer = website.ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status, answer.body) == (200, website.get(path).body)
    assert website.content() == before


def test_the_page_to_leave_shows_no_address_and_offers_other_schedules(
    website: Website, paper: Paper
) -> None:
    reader = website.reader(paper.morning, "very-secret@example.com")
    path = unsubscribe_path(website, reader)

    page = website.get(path)
    answer = website.post(path, {"schedule": "daily/weekly"})

    assert "very-secret" not in page.body
    assert 'value="daily/weekly"' in page.body
    assert 'value="sport/evening"' not in page.body
    assert answer.status == 200
    assert subscriptions(website)[0].schedule_id == paper.weekly.id
    assert events(website) == [(ConsentKind.CHANGED, "/unsubscribe")]


def test_links_to_leave_outlive_everything_but_the_identity_key(
    website: Website, keys: Keys, paper: Paper
) -> None:
    reader = website.reader(paper.morning)
    website.close(paper.daily)
    rotated = Keys(secrets=(b"another secret key of the tests!!",), identity=keys.identity)
    website.pass_time(timedelta(days=3650))

    path = f"/unsubscribe/{rotated.make(Purpose.UNSUBSCRIBE, reader.public_id)}"
    assert website.post(path, ONE_CLICK).status == 200
    assert mailable(website) == set()


def test_a_link_to_the_preferences_is_mailed_to_who_subscribes(
    website: Website, paper: Paper
) -> None:
    website.reader(paper.morning, "new@example.com")

    assert website.get("/preferences").status == 200
    answer = website.post("/preferences", {"email": "New@example.com"})
    website.post("/preferences", {"email": "other@example.com"})

    assert answer.status == 200
    notices = website.rows(select(Notice))
    assert {(one.kind, one.not_before) for one in notices} == {(NoticeKind.PREFERENCES, None)}
    assert sorted((one.status, one.address, one.rate_key) for one in notices) == [
        ("queued", "new@example.com", "preferences new@example.com"),
        ("skipped", "other@example.com", "no preferences other@example.com"),
    ]
    assert website.post("/preferences", {"email": "nobody"}).status == 422


def test_whoever_just_confirmed_gets_a_link_to_the_preferences_at_once(website: Website) -> None:
    asked = {"email": "new@example.com"}
    website.post("/preferences", asked)
    website.post("/subscribe", {**asked, "newsletter": "daily"})
    website.post(confirm_path(website))

    for _ in range(2):
        website.post("/preferences", asked)

    links = select(Notice.status).where(Notice.kind == NoticeKind.PREFERENCES).order_by(Notice.id)
    # Before, there was nothing to send; and what is asked for again is not written again.
    assert website.rows(links) == ["skipped", "queued"]


def test_the_preferences_change_schedules_and_leave_newsletters(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        one = factories.subscriber(session, keys)
        for schedule in (paper.morning, paper.sport_daily):
            factories.subscription(session, one, schedule)
    path = website.link(Purpose.PREFERENCES, one.public_id, NOW + timedelta(hours=1))

    page = website.get(path)
    assert page.status == 200
    assert "reader@example.com" not in page.body
    saved = website.post(path, {"daily": "weekly", "sport": "leave"})

    assert "Your changes have been saved" in saved.body
    daily, sport = subscriptions(website)
    assert (daily.schedule_id, daily.left_at) == (paper.weekly.id, None)
    assert sport.left_at == NOW
    before = website.content()
    assert website.post(path, {"daily": "weekly", "other": "leave"}).status == 200
    assert website.content() == before

    assert website.post(path, {"leave": "all"}).status == 200
    assert mailable(website) == set()
    website.pass_time(timedelta(hours=1))
    assert website.get(path).status == 410
    assert website.post(path, {"leave": "all"}).status == 410


def test_a_token_is_worth_nothing_for_another_purpose(
    website: Website, keys: Keys, paper: Paper
) -> None:
    reader = website.reader(paper.morning)
    sign_up(website)
    before = website.content()
    bodies = set()
    for made_for in Purpose:
        for public_id in (reader.public_id, signed_up(website).public_id):
            token = keys.make(made_for, public_id, NOW + WEEK)
            for page in {*PAGES} - {made_for}:
                path = website.link(page, 0).rpartition("/")[0] + f"/{token}"
                for answer in (website.get(path), website.post(path, ONE_CLICK)):
                    assert answer.status == 404
                    bodies.add(answer.body)
    assert len(bodies) == 1
    assert website.content() == before
    text = repr(before)
    assert keys.make(Purpose.UNSUBSCRIBE, reader.public_id) not in text
    assert confirm_path(website).rpartition("/")[2] not in text


@pytest.mark.parametrize("purpose", PAGES)
def test_a_good_token_of_a_row_that_is_gone_is_no_error_of_ours(
    website: Website, purpose: Purpose
) -> None:
    path = website.link(purpose, 12345, NOW + WEEK)

    for answer in (website.get(path), website.post(path, ONE_CLICK)):
        assert answer.status in {200, 404, 410}
        assert answer.status != 200 or "You aren’t subscribed" in answer.body
