"""From the form to a subscription over HTTP: what is written, what is answered, and what is not told."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import (
    ClientRequest,
    ConsentEvent,
    DeliveryStatus,
    Notice,
    NoticeKind,
    Signup,
    SignupChoice,
    Subscriber,
    SuppressionReason,
    Wording,
)
from mailer.permission.rule import forgiven_before, notice_may_be_mailed
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.integration.web.conftest import Paper, Serve
from tests.support import factories
from tests.support.factories import NOW
from tests.support.statements import statements
from tests.support.website import Website

FORM = {"email": "new@example.com", "newsletter": "daily"}


def queued(website: Website, address: str | None = None) -> list[Notice]:
    """The notices that a worker would send now."""
    may_go = notice_may_be_mailed(forgiven_before(NOW))
    waiting = website.rows(select(Notice).where(Notice.status == DeliveryStatus.QUEUED, may_go))
    return [notice for notice in waiting if address in {None, notice.address}]


def test_a_post_writes_a_sign_up_a_consent_event_and_a_notice_and_no_subscriber(
    website: Website, paper: Paper
) -> None:
    answer = website.post("/subscribe", {**FORM, "name": "BUY http://spam.example"})

    assert answer.status == 200
    assert "Check your inbox" in answer.body
    assert "set-cookie" not in answer.headers
    signup, choice, consent, wording, notice = (
        website.row(select(table))
        for table in (Signup, SignupChoice, ConsentEvent, Wording, Notice)
    )
    assert website.rows(select(Subscriber)) == []
    assert (signup.address, signup.name) == ("new@example.com", None)
    assert (signup.ip, signup.source) == ("127.0.0.1", "/subscribe")
    assert signup.expires_at == NOW + timedelta(days=7)
    assert choice.schedule_id == paper.morning.id
    assert consent.kind == "requested"
    assert consent.wording_id == choice.wording_id == wording.id
    assert (consent.ip, consent.user_agent) == ("127.0.0.1", "Browser/1")
    assert consent.publisher == "The Daily"
    assert (notice.kind, notice.signup_id) == (NoticeKind.CONFIRMATION, signup.id)
    assert "BUY" not in notice.html + notice.text + notice.subject


def test_the_sentence_on_the_form_is_the_one_that_is_recorded(website: Website) -> None:
    page = website.get("/subscribe/daily").body
    website.post("/subscribe", FORM)

    assert website.row(select(Wording.text)) in page


def test_the_only_newsletter_need_not_be_named(website: Website, paper: Paper) -> None:
    assert website.post("/subscribe", {"email": "new@example.com"}).status == 422
    website.close(paper.sport)

    assert website.post("/subscribe", {"email": "new@example.com"}).status == 200


def test_several_newsletters_and_their_schedules_in_one_form(
    website: Website, paper: Paper
) -> None:
    fields = {
        "email": "new@example.com",
        "newsletter": ["daily", "sport"],
        "schedule": ["daily/weekly", "sport/evening"],
    }
    assert website.post("/subscribe", fields).status == 200

    assert set(website.rows(select(SignupChoice.schedule_id))) == {
        paper.weekly.id,
        paper.sport_daily.id,
    }
    (notice,) = queued(website)
    assert "The Daily" in notice.text
    assert "Sport" in notice.text


def test_a_schedule_of_a_newsletter_that_is_not_chosen_does_not_count(
    website: Website, paper: Paper
) -> None:
    fields = {**FORM, "schedule": ["sport/evening", "daily/weekly"]}
    assert website.post("/subscribe", fields).status == 200

    assert website.row(select(SignupChoice.schedule_id)) == paper.weekly.id


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"email": "", "newsletter": "daily"}, "Enter your email address"),
        ({"newsletter": "daily"}, "Enter your email address"),
        ({"email": "nobody", "newsletter": "daily"}, "That doesn’t look like an email address"),
        ({"email": "a@example.com", "newsletter": "none"}, "There is no such newsletter"),
        ({"email": "a@example.com"}, "Choose at least one newsletter"),
        ({**FORM, "schedule": "daily/hourly"}, "isn’t available on that schedule"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_written(
    website: Website, fields: dict[str, str], told: str
) -> None:
    before = website.content()

    answer = website.post("/subscribe", fields)

    assert answer.status == 422
    assert told in answer.body
    assert website.content() == before


def test_a_newsletter_that_is_closed_or_has_no_schedule_takes_nobody(
    website: Website, database: Database, paper: Paper
) -> None:
    website.close(paper.daily)
    with database.write() as session:
        factories.newsletter(session, "new", title="New")

    for slug in ("daily", "new"):
        answer = website.post("/subscribe", {**FORM, "newsletter": slug})
        assert answer.status == 422
        assert "isn’t accepting new subscribers" in answer.body
        assert "isn’t accepting new subscribers" in website.get(f"/subscribe/{slug}").body


def states(database: Database, keys: Keys, paper: Paper) -> list[str]:
    """Addresses of which we know different things."""
    with database.write() as session:
        for reason in SuppressionReason:
            factories.suppression(session, keys, f"{reason}@example.com", reason=reason)
        muted = {"reason": SuppressionReason.NOT_ME, "newsletter_id": paper.daily.id}
        factories.suppression(session, keys, "muted@example.com", **muted)
        factories.reader(session, keys, paper.morning, "active@example.com")
        factories.reader(session, keys, paper.weekly, "weekly@example.com")
        factories.reader(session, keys, paper.morning, "gone@example.com", left_at=NOW)
        factories.reader(session, keys, paper.morning, "paused@example.com", paused_at=NOW)
        factories.signup(session, keys, paper.morning, "pending@example.com")
        factories.notice(session, keys, "limited@example.com")
    names = ("new", "muted", "active", "weekly", "gone", "paused", "pending", "limited")
    return [f"{name}@example.com" for name in (*names, *SuppressionReason)]


def test_every_address_gets_the_same_answer_and_causes_the_same_statements(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    seen = set()
    for path, fields in (
        ("/subscribe", {"newsletter": "daily"}),
        ("/subscribe", {"newsletter": ["daily", "sport"], "schedule": "daily/morning"}),
        ("/preferences", {}),
    ):
        answers = set()
        with database.write() as session:
            for table in (Notice, ClientRequest):
                session.execute(table.__table__.delete())
        for address in states(database, keys, paper) if not seen else sorted(seen):
            seen.add(address)
            with statements(database) as ran:
                answer = website.post(path, {**fields, "email": address})
            answer.headers.pop("date")
            answers.add((answer.status, str(answer.headers), answer.body, tuple(ran)))
        assert len(answers) == 1
        assert website.content()["signup"]


def test_what_the_first_sign_up_renders_does_not_depend_on_the_address(
    serve: Serve, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    render = Templates.render

    def noted(templates: Templates, name: str, *args: Any) -> str:
        rendered.append(name)
        return render(templates, name, *args)

    monkeypatch.setattr(Templates, "render", noted)
    seen = []
    for number, address in enumerate(("active@example.com", "new@example.com")):
        with serve() as website:
            if not number:
                website.reader(paper.morning, address)
            website.post("/subscribe", {**FORM, "email": address})
            seen.append(tuple(rendered))
            rendered.clear()
            # What follows renders nothing.
            website.post("/subscribe", {**FORM, "email": f"next{number}@example.com"})
            assert rendered == []

    assert seen[0] == seen[1]
    assert {"mail/confirmation.html", "mail/already.html"} < set(seen[0])


def test_who_may_be_mailed_is_mailed_and_nobody_else(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    for address in states(database, keys, paper):
        assert website.post("/subscribe", {**FORM, "email": address}).status == 200

    kinds = {notice.address.partition("@")[0]: notice.kind for notice in queued(website)}
    kinds.pop("limited")  # What it was sent before.
    assert kinds == {
        **dict.fromkeys(("new", "gone", "paused", "pending", "erased"), NoticeKind.CONFIRMATION),
        **dict.fromkeys(("active", "weekly"), NoticeKind.ALREADY),
    }
    assert len(queued(website, "limited@example.com")) == 1


def test_another_schedule_is_to_be_confirmed(website: Website, paper: Paper) -> None:
    website.reader(paper.morning, "active@example.com")

    website.post("/subscribe", {**FORM, "email": "active@example.com", "schedule": "daily/weekly"})

    assert [notice.kind for notice in queued(website)] == [NoticeKind.CONFIRMATION]


def test_many_posts_for_one_address_at_once_cause_one_mail_and_one_sign_up(serve: Serve) -> None:
    with serve(signup_limits="network=1000/d") as website, ThreadPoolExecutor(8) as pool:

        def post(number: int) -> tuple[int, str]:
            fields = {**FORM, "email": f"new+{number % 15}@example.com"}
            answer = website.post("/subscribe", fields)
            return answer.status, answer.body

        answers = set(pool.map(post, range(8 * 15)))

    assert len(answers) == 1
    assert len(queued(website)) == 1
    for table in (Signup, SignupChoice, ConsentEvent, Notice):
        assert len(website.rows(select(table))) == 1


def test_an_address_gets_three_mails_a_day_at_least_ten_minutes_apart(serve: Serve) -> None:
    mailed = []
    with serve(signup_limits="network=1000/d") as website:
        for minute in range(0, 60 * 25, 5):
            before = len(queued(website))
            website.post("/subscribe", FORM)
            if len(queued(website)) > before:
                mailed.append(minute)
            website.pass_time(timedelta(minutes=5))

    assert mailed == [0, 10, 20, 24 * 60, 24 * 60 + 10, 24 * 60 + 20]


def test_a_network_signs_twenty_up_a_day_and_is_told_when_to_come_back(website: Website) -> None:
    before = Counter(
        website.post("/subscribe", {**FORM, "email": f"r{number}@example.com"}).status
        for number in range(30)
    )
    content = website.content()
    answer = website.post("/subscribe", {**FORM, "email": "more@example.com"})
    by_json = website.ask("POST", "/api/subscribe", json.dumps(FORM).encode())

    assert before == {200: 20, 429: 10}
    assert (answer.status, answer.headers["retry-after"]) == (429, "86400")
    assert by_json.status == 429
    assert "error" in json.loads(by_json.body)
    assert website.content() == content
    assert len(queued(website)) == 20
    website.pass_time(timedelta(days=1))
    assert website.post("/subscribe", {**FORM, "email": "more@example.com"}).status == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/subscribe", FORM),
        ("/subscribe", {**FORM, "website": "http://spam.example"}),
        ("/preferences", {"email": "new@example.com"}),
    ],
)
def test_a_network_asks_twenty_times_a_day_whatever_is_known_of_the_address(
    website: Website, database: Database, keys: Keys, path: str, fields: dict[str, str]
) -> None:
    """Also for an address that is mailed no more; what is asked for again is counted and not written."""
    with database.write() as session:
        factories.notice(session, keys, "limited@example.com")
        factories.notice(session, keys, rate_key="no preferences limited@example.com")
    website.post(path, {**fields, "email": "limited@example.com"})
    before = website.content()
    wrong = [website.post(path, {**fields, "email": "nobody"}).status for _ in range(25)]
    answers = [website.post(path, {**fields, "email": "limited@example.com"}) for _ in range(20)]

    assert set(wrong) == {422}
    assert [answer.status for answer in answers] == 19 * [200] + [429]
    after = website.content()
    assert len(after.pop("client_request")) == len(before.pop("client_request")) + 19
    assert after == before


def test_a_household_of_many_networks_may_ask_five_times_as_often(serve: Serve) -> None:
    asked = Counter()
    with serve(signup_limits="network=4/d", trusted_proxies="127.0.0.1") as here:
        for number in range(30):
            for site in ("2001:db8:1", "2001:db8:2"):
                # Two for each /64; only the first site has more than one.
                network = f"{site}:{number // 2 if site.endswith('1') else 0:x}"
                client = {"X-Forwarded-For": f"{network}::{number:x}"}
                fields = {**FORM, "email": f"r{number}@{len(site)}.example"}
                asked[site, here.post("/subscribe", fields, client).status] += 1

    assert asked["2001:db8:1", 200] == 20
    assert asked["2001:db8:2", 200] == 4


def test_all_sign_ups_together_are_held_to_their_limit(
    database: Database, paper: Paper, serve: Serve
) -> None:
    with serve(
        signup_limits="network=100/d,total=3/h", staff_address="desk@news.example"
    ) as website:
        for number in range(8):
            fields = {**FORM, "email": f"r{number}@example.com"}
            assert website.post("/subscribe", fields).status == 200
            website.pass_time(timedelta(minutes=1))
        website.reader(paper.morning)
        assert website.post("/preferences", {"email": "reader@example.com"}).status == 200

    told, link = website.rows(select(Notice).where(Notice.signup_id.is_(None)).order_by(Notice.id))
    with database.read() as session:
        waits = session.execute(
            select(Notice.next_attempt_at, Notice.not_before, Signup.expires_at)
            .join(Signup, Signup.id == Notice.signup_id)
            .order_by(Notice.id)
        ).all()
    minutes = [(row.next_attempt_at - NOW) / timedelta(minutes=1) for row in waits]
    assert minutes == [0, 1, 2, 60, 61, 62, 120, 121]
    assert all(row.not_before == row.next_attempt_at for row in waits)
    # Staff hear of it once, and a reader's way to leave does not wait behind strangers.
    assert (told.kind, told.address) == (NoticeKind.ALERT, "desk@news.example")
    assert told.created_at == NOW + timedelta(minutes=3)
    assert "signup_limits allows 3 mails in 1 h" in told.text
    assert (link.kind, link.next_attempt_at) == (NoticeKind.PREFERENCES, link.created_at)
    # A link that is mailed late lives as long as any other.
    assert all(row.expires_at == row.not_before + timedelta(days=7) for row in waits)


def test_only_trusted_proxies_say_who_the_client_is(serve: Serve) -> None:
    spoofed = {"X-Forwarded-For": "203.0.113.9"}
    with serve() as website:
        website.post("/subscribe", FORM, spoofed)
    with serve(trusted_proxies="127.0.0.1") as website:
        website.post("/subscribe", {**FORM, "email": "b@example.com"}, spoofed)

    seen = website.rows(select(Signup.ip).order_by(Signup.id))
    assert seen == ["127.0.0.1", "203.0.113.9"]
    counted = website.rows(select(ClientRequest.network).order_by(ClientRequest.id))
    assert counted == ["127.0.0.0/24", "203.0.113.0/24"]


def test_next_leads_to_exactly_the_pages_that_are_named(serve: Serve) -> None:
    thanks = "https://news.example/thanks"
    others = ("//evil.example", "https:evil.example", "\\evil.example", f"{thanks}/")
    with serve(next_urls=thanks) as website:
        statuses = {website.post("/subscribe", {**FORM, "next": url}).status for url in others}
        good = website.post("/subscribe", {**FORM, "next": thanks})

    assert statuses == {200}
    assert (good.status, good.headers["location"]) == (303, thanks)


def test_a_robot_that_fills_in_the_honeypot_gets_the_same_answer_and_nothing_is_written(
    website: Website,
) -> None:
    before = website.content()
    trapped = website.post("/subscribe", {**FORM, "website": "http://spam.example"})

    # But it is counted.
    assert website.content() == before | {"client_request": ANY}
    assert trapped.body == website.post("/subscribe", FORM).body


def test_a_form_that_says_when_it_was_shown_is_taken_from_two_seconds_to_a_day_later(
    website: Website, keys: Keys
) -> None:
    fields = {**FORM, "stamp": keys.form_stamp(NOW)}

    website.pass_time(timedelta(seconds=1))
    quick = website.post("/subscribe", fields)
    website.pass_time(timedelta(seconds=1))
    good = website.post("/subscribe", fields)
    website.pass_time(timedelta(days=1))
    late = website.post("/subscribe", fields)
    forged = website.post("/subscribe", {**FORM, "stamp": "1.abc"})

    assert [one.status for one in (quick, good, late, forged)] == [422, 200, 422, 422]
    assert "That was very quick. Press the button again." in quick.body
    assert "new@example.com" in quick.body
    assert len(queued(website)) == 1


@pytest.mark.parametrize(
    "first",
    [{}, {"email": "no address"}, {"stamp": "1.abc"}],
    ids=["too quick", "wrong besides", "too old"],
)
def test_the_second_press_passes_however_quick_it_is(
    website: Website, keys: Keys, first: dict[str, str]
) -> None:
    asked = website.post("/subscribe", {**FORM, "stamp": keys.form_stamp(NOW), **first})
    assert asked.status == 422
    stamp = asked.body.partition('name="stamp" value="')[2].partition('"')[0]

    assert website.post("/subscribe", {**FORM, "stamp": stamp}).status == 200
    assert len(queued(website)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps(FORM), 202),
        (json.dumps({"email": "a@example.com", "newsletter": ["daily", "sport"]}), 202),
        (json.dumps({"email": "a@example.com", "newsletter": "daily", "name": "A\ud83d\x00"}), 202),
        (json.dumps({"email": "nobody", "newsletter": "daily"}), 422),
        (json.dumps({"email": 7, "newsletter": "daily"}), 422),
        (json.dumps({"email": "a@example.com", "newsletter": "\x00"}), 422),
        (json.dumps([1]), 422),
        ("{", 422),
        ("", 422),
        ("[" * 30_000, 422),
    ],
)
def test_programs_sign_people_up_by_json(website: Website, body: str, status: int) -> None:
    answer = website.ask("POST", "/api/subscribe", body.encode())

    assert answer.status == status
    found = json.loads(answer.body)
    assert found == {"status": "pending"} if status == 202 else "error" in found
    assert bool(queued(website)) == (status == 202)


def test_the_form_in_a_frame_answers_where_it_was_sent_from(serve: Serve) -> None:
    with serve(embed_origins="https://www.news.example") as website:
        page = website.get("/embed/daily")
        answer = website.post("/embed/daily", FORM)
        normal = website.get("/subscribe/daily")

    assert 'action="/embed/daily"' in page.body
    for one in (page, answer):
        assert "frame-ancestors https://www.news.example" in one.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in normal.headers["content-security-policy"]
    assert answer.status == 200


def test_a_framed_form_signs_up_for_its_own_newsletter(website: Website, paper: Paper) -> None:
    for number, other in enumerate(({}, {"newsletter": "sport"})):
        fields = {"email": f"new{number}@example.com", **other}
        assert website.post("/embed/daily", fields).status == 200
    assert set(website.rows(select(SignupChoice.newsletter_id))) == {paper.daily.id}
    assert website.post("/embed/nope", FORM).status == 404
    for newsletter in (paper.daily, paper.sport):
        website.close(newsletter)
    assert website.post("/embed/nope", FORM).status == 404
    assert website.post("/embed/daily", FORM).status == 422
