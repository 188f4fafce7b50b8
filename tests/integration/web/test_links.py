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
from tests import factories
from tests.factories import NOW
from tests.integration.web.conftest import Paper
from tests.website import Website

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
WEEK = timedelta(days=7)


def signed_up(database: Database, address: str = "new@example.com") -> Signup:
    with database.read() as session:
        return session.scalars(
            select(Signup).where(Signup.address == address).order_by(Signup.id.desc()).limit(1)
        ).one()


def confirm_path(keys: Keys, signup: Signup) -> str:
    return f"/confirm/{keys.make(Purpose.CONFIRM, signup.public_id, signup.expires_at)}"


def not_me_path(keys: Keys, signup: Signup) -> str:
    return f"/not-me/{keys.make(Purpose.NOT_ME, signup.public_id, signup.expires_at)}"


def unsubscribe_path(keys: Keys, subscription: Subscription) -> str:
    return f"/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, subscription.public_id)}"


def subscriptions(database: Database) -> list[Subscription]:
    with database.read() as session:
        return list(session.scalars(select(Subscription).order_by(Subscription.id)))


def mailable(database: Database) -> set[str]:
    """Slugs of newsletters and addresses that a digest goes to."""
    with database.read() as session:
        return set(
            session.scalars(
                select(Subscriber.address)
                .join(Subscription, Subscription.subscriber_id == Subscriber.id)
                .where(may_mail())
            )
        )


def events(database: Database) -> list[tuple[ConsentKind, str]]:
    with database.read() as session:
        rows = session.execute(
            select(ConsentEvent.kind, ConsentEvent.source).order_by(ConsentEvent.id)
        )
        return [(kind, source) for kind, source in rows]


def sign_up(website: Website, **fields: str) -> None:
    base = {"email": "new@example.com", "newsletter": "daily"}
    assert website.post("/subscribe", base | fields).status == 200


def test_the_button_subscribes_to_what_was_chosen_from_the_newest_article_on(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        newest = factories.articles(session, 3, paper.sport)[-1]
    sign_up(website, schedule="daily/weekly", name="  Anna \t B. ")
    path = confirm_path(keys, signed_up(database))

    page = website.get(path)
    before = website.content()
    answer = website.ask("POST", path)

    assert (page.status, page.body.count("<button")) == (200, 1)
    assert "subscriber" in before
    assert not before["subscriber"]
    assert answer.status == 200
    assert "You are subscribed" in answer.body
    (subscription,) = subscriptions(database)
    assert subscription.schedule_id == paper.weekly.id
    assert subscription.start_article == newest.id
    with database.read() as session:
        subscriber = session.scalars(select(Subscriber)).one()
        confirmed = session.scalars(
            select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.CONFIRMED)
        ).one()
    assert (subscriber.name, subscriber.address) == ("Anna B.", "new@example.com")
    assert 0 <= subscriber.public_id < 2**63
    assert (confirmed.ip, confirmed.user_agent) == ("127.0.0.1", "Browser/1")
    assert confirmed.wording_id is not None
    assert confirmed.signup_public_id == signed_up(database).public_id
    assert mailable(database) == {"new@example.com"}


def test_pressing_again_is_success_again_and_changes_nothing(
    website: Website, database: Database, keys: Keys
) -> None:
    sign_up(website)
    path = confirm_path(keys, signed_up(database))
    first = website.post(path)
    before = website.content()
    website.pass_time(timedelta(minutes=5))

    assert website.post(path).body == first.body
    assert website.get(path).status == 200
    assert website.content() == before


def test_an_old_link_pressed_after_leaving_changes_nothing_and_a_new_one_works(
    website: Website, database: Database, keys: Keys
) -> None:
    sign_up(website)
    used = confirm_path(keys, signed_up(database))
    website.pass_time(timedelta(minutes=10))
    sign_up(website, schedule="daily/weekly")
    unused = confirm_path(keys, signed_up(database))
    website.post(used)
    (subscription,) = subscriptions(database)
    website.post(unsubscribe_path(keys, subscription), ONE_CLICK)
    before = website.content()

    for path in (used, unused):
        answer = website.post(path)
        assert answer.status == 410
        assert 'href="/subscribe/daily"' in answer.body
    assert website.content() == before

    website.pass_time(timedelta(minutes=10))
    sign_up(website)
    assert website.post(confirm_path(keys, signed_up(database))).status == 200
    assert mailable(database) == {"new@example.com"}
    assert [one.id for one in subscriptions(database)] == [subscription.id]


def test_an_old_link_for_two_newsletters_brings_back_none_that_was_left(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning, "new@example.com")
    website.post("/subscribe", {"email": "new@example.com", "newsletter": ["daily", "sport"]})
    website.pass_time(timedelta(minutes=1))
    website.post(unsubscribe_path(keys, reader), ONE_CLICK)

    assert website.post(confirm_path(keys, signed_up(database))).status == 200
    daily, sport = subscriptions(database)
    assert daily.left_at is not None
    assert (sport.schedule_id, sport.left_at) == (paper.sport_daily.id, None)


def test_a_link_has_its_time_and_then_tells_how_to_ask_anew(
    website: Website, database: Database, keys: Keys
) -> None:
    sign_up(website)
    path = confirm_path(keys, signed_up(database))
    website.pass_time(WEEK - timedelta(seconds=1))
    assert website.get(path).status == 200
    website.pass_time(timedelta(seconds=1))

    for answer in (website.get(path), website.post(path)):
        assert answer.status == 410
        assert 'href="/"' in answer.body
    assert subscriptions(database) == []


def test_a_newsletter_that_was_closed_meanwhile_still_honours_its_link(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    sign_up(website)
    with database.write() as session:
        session.merge(paper.daily).closed = True
        session.merge(paper.morning).paused_at = NOW

    assert website.post(confirm_path(keys, signed_up(database))).status == 200
    assert mailable(database) == {"new@example.com"}


def test_confirming_changes_the_schedule_of_somebody_who_subscribes_already(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        before = factories.reader(session, keys, paper.morning, "new@example.com", start_article=0)
    sign_up(website, schedule="daily/weekly")
    website.post(confirm_path(keys, signed_up(database)))

    (after,) = subscriptions(database)
    assert (after.id, after.schedule_id) == (before.id, paper.weekly.id)
    assert (after.start_article, after.confirmed_at) == (before.start_article, before.confirmed_at)
    assert events(database)[-1] == (ConsentKind.CHANGED, "/confirm")


def test_a_second_newsletter_leaves_the_schedule_of_the_first_alone(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        factories.reader(session, keys, paper.weekly, "new@example.com")
    website.post("/subscribe", {"email": "new@example.com", "newsletter": ["daily", "sport"]})
    website.post(confirm_path(keys, signed_up(database)))

    assert {one.schedule_id for one in subscriptions(database)} == {
        paper.weekly.id,
        paper.sport_daily.id,
    }


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
        website.post(confirm_path(keys, signed_up(database, address)))
    assert mailable(database) == {"a@example.com"}


def test_not_me_drops_the_request_and_mutes_the_address_for_that_newsletter(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    sign_up(website)
    signup = signed_up(database)

    page = website.get(not_me_path(keys, signup))
    assert (page.status, page.body.count("<button")) == (200, 1)
    answer = website.ask("POST", not_me_path(keys, signup))
    content = website.content()
    again = website.post(not_me_path(keys, signup))

    assert (answer.status, again.body) == (200, answer.body)
    assert website.content() == content
    assert website.post(confirm_path(keys, signup)).status == 410
    with database.read() as session:
        muted = session.scalars(select(Suppression)).one()
    assert (muted.reason, muted.newsletter_id) == (SuppressionReason.NOT_ME, paper.daily.id)
    assert events(database)[-1] == (ConsentKind.REFUSED, "/not-me")
    assert subscriptions(database) == []


def test_not_me_also_stops_a_subscription_that_was_confirmed(
    website: Website, database: Database, keys: Keys
) -> None:
    sign_up(website)
    signup = signed_up(database)
    website.post(confirm_path(keys, signup))
    website.post(not_me_path(keys, signup))

    assert mailable(database) == set()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_one_click_leaves_at_once_without_cookie_or_redirect(
    website: Website, database: Database, keys: Keys, paper: Paper, body: bytes, kind: str
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning)
    path = unsubscribe_path(keys, reader)

    answers = [website.ask("POST", path, body, {"Content-Type": kind}) for _ in range(2)]

    for answer in answers:
        assert answer.status == 200
        assert not {"set-cookie", "location"} & answer.headers.keys()
    assert mailable(database) == set()
    (left,) = subscriptions(database)
    assert (left.left_at, left.left_reason) == (NOW, "reader")
    assert events(database) == [(ConsentKind.UNSUBSCRIBED, "/unsubscribe")]


@pytest.mark.parametrize(
    "body", [b"", b"List-Unsubscribe=Two-Clicks", b"other=1", b"schedule=none"]
)
def test_a_post_that_asks_for_nothing_shows_the_page_and_changes_nothing(
    website: Website, database: Database, keys: Keys, paper: Paper, body: bytes
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning)
    before = website.content()
    path = unsubscribe_path(keys, reader)

    answer = website.ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status, answer.body) == (200, website.get(path).body)
    assert website.content() == before


def test_the_page_to_leave_shows_no_address_and_offers_other_schedules(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning, "very-secret@example.com")
    path = unsubscribe_path(keys, reader)

    page = website.get(path)
    answer = website.post(path, {"schedule": "daily/weekly"})

    assert "very-secret" not in page.body
    assert 'value="daily/weekly"' in page.body
    assert 'value="sport/evening"' not in page.body
    assert answer.status == 200
    assert subscriptions(database)[0].schedule_id == paper.weekly.id
    assert events(database) == [(ConsentKind.CHANGED, "/unsubscribe")]


def test_links_to_leave_outlive_everything_but_the_identity_key(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning)
        session.merge(paper.daily).closed = True
    rotated = Keys(secrets=(b"another secret key of the tests!!",), identity=keys.identity)
    website.pass_time(timedelta(days=3650))

    assert website.post(unsubscribe_path(rotated, reader), ONE_CLICK).status == 200
    assert mailable(database) == set()


def test_a_link_to_the_preferences_is_mailed_to_who_subscribes(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        factories.reader(session, keys, paper.morning, "new@example.com")

    assert website.get("/preferences").status == 200
    answer = website.post("/preferences", {"email": "New@example.com"})
    website.post("/preferences", {"email": "other@example.com"})

    assert answer.status == 200
    with database.read() as session:
        notices = session.execute(
            select(Notice.kind, Notice.status, Notice.address, Notice.rate_key, Notice.not_before)
        ).all()
    assert sorted(map(tuple, notices), key=str) == sorted(
        [
            (
                NoticeKind.PREFERENCES,
                "queued",
                "new@example.com",
                "preferences new@example.com",
                None,
            ),
            (
                NoticeKind.PREFERENCES,
                "skipped",
                "other@example.com",
                "no preferences other@example.com",
                None,
            ),
        ],
        key=str,
    )
    assert website.post("/preferences", {"email": "nobody"}).status == 422


def test_whoever_just_confirmed_gets_a_link_to_the_preferences_at_once(
    website: Website, database: Database, keys: Keys
) -> None:
    asked = {"email": "new@example.com"}
    website.post("/preferences", asked)
    website.post("/subscribe", {**asked, "newsletter": "daily"})
    website.post(confirm_path(keys, signed_up(database)))

    for _ in range(2):
        website.post("/preferences", asked)

    with database.read() as session:
        statuses = session.scalars(
            select(Notice.status).where(Notice.kind == NoticeKind.PREFERENCES).order_by(Notice.id)
        ).all()
    # Before, there was nothing to send; and what is asked for again is not written again.
    assert statuses == ["skipped", "queued"]


def test_the_preferences_change_schedules_and_leave_newsletters(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        one = factories.subscriber(session, keys)
        for schedule in (paper.morning, paper.sport_daily):
            factories.subscription(session, one, schedule)
    path = f"/preferences/{keys.make(Purpose.PREFERENCES, one.public_id, NOW + timedelta(hours=1))}"

    page = website.get(path)
    assert page.status == 200
    assert "reader@example.com" not in page.body
    saved = website.post(path, {"daily": "weekly", "sport": "leave"})

    assert "Your choice is saved" in saved.body
    daily, sport = subscriptions(database)
    assert (daily.schedule_id, daily.left_at) == (paper.weekly.id, None)
    assert sport.left_at == NOW
    before = website.content()
    assert website.post(path, {"daily": "weekly", "other": "leave"}).status == 200
    assert website.content() == before

    assert website.post(path, {"leave": "all"}).status == 200
    assert mailable(database) == set()
    website.pass_time(timedelta(hours=1))
    assert website.get(path).status == 410
    assert website.post(path, {"leave": "all"}).status == 410


def test_a_token_is_worth_nothing_for_another_purpose(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        reader = factories.reader(session, keys, paper.morning)
    sign_up(website)
    pages = {
        Purpose.CONFIRM: "/confirm/",
        Purpose.NOT_ME: "/not-me/",
        Purpose.UNSUBSCRIBE: "/unsubscribe/",
        Purpose.PREFERENCES: "/preferences/",
    }
    before = website.content()
    bodies = set()
    for made_for in Purpose:
        for public_id in (reader.public_id, signed_up(database).public_id):
            token = keys.make(made_for, public_id, NOW + WEEK)
            for purpose, path in pages.items():
                if purpose is made_for:
                    continue
                for answer in (website.get(path + token), website.post(path + token, ONE_CLICK)):
                    assert answer.status == 404
                    bodies.add(answer.body)
    assert len(bodies) == 1
    assert website.content() == before
    text = repr(before)
    assert keys.make(Purpose.UNSUBSCRIBE, reader.public_id) not in text
    assert confirm_path(keys, signed_up(database)).rpartition("/")[2] not in text


@pytest.mark.parametrize("page", ["/confirm/", "/not-me/", "/unsubscribe/", "/preferences/"])
def test_a_good_token_of_a_row_that_is_gone_is_no_error_of_ours(
    website: Website, keys: Keys, page: str
) -> None:
    purpose = next(one for one in Purpose if f"/{one.name.lower().replace('_', '-')}/" == page)
    path = page + keys.make(purpose, 12345, NOW + WEEK)

    for answer in (website.get(path), website.post(path, ONE_CLICK)):
        assert answer.status in {200, 404, 410}
        assert answer.status != 200 or "You get no newsletter" in answer.body
