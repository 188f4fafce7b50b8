"""All pages alike: reading changes nothing, HTML has its headers, and faults are answered calmly."""

import json
import logging
import socket
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from mailer.db import Database
from mailer.logs import Masking
from mailer.models import ReviewAct
from mailer.tokens import Keys, Purpose
from mailer.web import ROUTES
from tests.integration.web.conftest import Paper, Serve
from tests.support import factories
from tests.support.factories import NOW
from tests.support.waiting import wait_until
from tests.support.website import Website, serving

FORM = {"email": "new@example.com", "newsletter": "daily"}
BEHIND_A_LINK = (
    *(
        "/confirm/",
        "/not-me/",
        "/unsubscribe/",
        "/preferences/",
        "/data/",
        "/erase/",
        "/review/",
        "/webhooks/",
    ),
)
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@pytest.fixture
def paths(website: Website, database: Database, keys: Keys, paper: Paper) -> list[str]:
    """A path with a good token for every route."""
    with database.write() as session:
        subscription = factories.reader(session, keys, paper.morning, "r@example.com")
        signup = factories.signup(session, keys, paper.morning)
        subscriber = factories.subscriber(session, keys, "s@example.com")
        factories.subscription(session, subscriber, paper.sport_daily)
        review = factories.review(session, paper.morning)
    later = NOW + timedelta(hours=1)
    links = [
        website.link(Purpose.CONFIRM, signup.public_id, later),
        website.link(Purpose.NOT_ME, signup.public_id, later),
        website.link(Purpose.UNSUBSCRIBE, subscription.public_id),
        website.link(Purpose.REVIEW, review.link_id(ReviewAct.STOP), later),
        website.link(Purpose.PREFERENCES, subscriber.public_id, later),
        website.link(Purpose.DATA, subscriber.public_id, later),
        website.link(Purpose.ERASE, subscriber.public_id, later),
    ]
    assert {link.rpartition("/")[0] + "/{token}" for link in links} == {
        route.path for route in ROUTES if route.path.endswith("{token}")
    }
    others = {
        route.path.format(slug="daily", provider="ses", secret="0" * 32)
        for route in ROUTES
        if "{token}" not in route.path
    }
    return sorted({*links, *others})


def test_reading_changes_nothing_on_any_page(website: Website, paths: list[str]) -> None:
    before = website.content()
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"):
            answer = website.ask(method, path)
            expected = {200, 405} if method in {"GET", "HEAD"} else {405}
            assert answer.status in expected, (method, path)
    assert website.content() == before


def test_every_html_answer_has_the_headers(website: Website, paths: list[str]) -> None:
    answers = {path: website.get(path) for path in paths}
    answers["/nowhere"] = website.get("/nowhere")
    answers["/confirm/bad"] = website.get("/confirm/bad")
    answers["/unsubscribe/bad"] = website.post("/unsubscribe/bad")
    answers["/subscribe/none"] = website.get("/subscribe/none")
    answers["PUT"] = website.ask("PUT", "/")
    answers["422"] = website.post("/subscribe")
    answers["413"] = website.post("/subscribe", {"email": "x" * 70_000})

    unknown = ("/nowhere", "/confirm/bad", "/unsubscribe/bad")
    assert [answers[name].status for name in unknown] == [404] * 3
    assert (answers["PUT"].status, answers["422"].status, answers["413"].status) == (405, 422, 413)
    assert answers["PUT"].headers["allow"] == "GET, HEAD"
    for path, answer in answers.items():
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers
        behind_a_link = path.startswith(BEHIND_A_LINK)
        unstored = behind_a_link or path == "/metrics"
        assert (answer.headers.get("cache-control") == "no-store") == unstored, path
        assert (answer.headers.get("x-robots-tag") == "noindex") == behind_a_link, path
        if answer.headers["content-type"].startswith("text/html"):
            assert_plain(answer.body)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def assert_plain(body: str) -> None:
    """No script, no style of its own, a language, one heading, a label for every field."""
    tags = _Tags()
    tags.feed(body)
    names = [tag for tag, _ in tags.seen]
    assert "script" not in names
    assert "style" not in names
    assert names.count("h1") == 1
    assert names.count("main") == 1
    for _tag, attributes in tags.seen:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert dict(tags.seen)["html"] == {"lang": "en", "dir": "ltr"}


def test_pages_go_by_base_url_and_never_by_the_host_that_is_asked_for(serve: Serve) -> None:
    with serve(base_url="https://news.example/letters") as website:
        evil = website.ask("GET", "/", headers={"Host": "evil.example"})
        hosts = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        answer = website.post("/subscribe", FORM, hosts)

    assert answer.status == 200
    assert 'action="/letters/subscribe"' in evil.body
    assert "evil" not in evil.body + repr(website.content())


def test_a_body_that_is_too_large_is_answered_like_any_other_fault(website: Website) -> None:
    fields = {"email": "x" * 70_000}
    page = website.post("/subscribe", fields, {"Accept-Language": "fr"})
    program = website.post("/api/subscribe", fields)
    assert (page.status, program.status) == (413, 413)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert '<html lang="fr" dir="ltr">' in page.body
    assert json.loads(program.body) == {"error": "the body is too large"}


def test_a_chunked_body_that_is_too_large_is_refused(website: Website) -> None:
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    head = (
        b"POST /subscribe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", website.port), timeout=300) as client:
        client.sendall(head + chunk * 17)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path", ["/subscribe/%00", "/embed/%ff", "/style/%00.css", "/confirm/%00", "//"]
)
def test_odd_paths_are_not_found(website: Website, path: str) -> None:
    assert website.get(path).status == 404


def test_an_odd_form_is_refused(website: Website) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    file = (
        b'--x\r\nContent-Disposition: form-data; name="email"; filename="f"\r\n\r\nx\r\n--x--\r\n'
    )

    assert website.ask("POST", "/subscribe", file, kind).status == 400
    assert website.ask("POST", "/subscribe", b"no boundary", kind).status in {400, 422}
    assert website.ask("POST", "/subscribe", b"{}", {"Content-Type": "text/plain"}).status == 422


def test_where_nothing_can_be_written_the_answer_is_503_and_says_when_to_come_back(
    sqlite_database: Database, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session))
    with serving(sqlite_database, keys) as website:
        with sqlite_database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("PRAGMA query_only = ON"))
        by_form = website.post("/subscribe", FORM)
        by_json = website.ask("POST", "/api/subscribe", b'{"email": "new@example.com"}')

    assert by_form.status == by_json.status == 503
    assert int(by_form.headers["retry-after"]) > 0
    assert by_form.headers["content-security-policy"] == POLICY
    assert "new@example.com" not in caplog.text


def test_a_request_does_not_wait_long_for_a_lock(
    postgresql_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.db.sessions.LOCK_TIMEOUT", "50ms")
    with postgresql_database.write() as session:
        factories.schedule(session, factories.newsletter(session))
    with serving(postgresql_database, keys) as website:
        with postgresql_database.write() as session:
            session.execute(text("LOCK TABLE newsletter"))
            answers = [website.get("/"), website.post("/subscribe", FORM)]
        assert website.post("/subscribe", FORM).status == 200

    assert [answer.status for answer in answers] == [503, 503]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)


def test_a_defect_of_ours_is_a_500_with_headers_and_no_address_in_the_log(
    website: Website, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("defect at new@example.com")

    monkeypatch.setattr("mailer.web.subscribe.sign_up", fail)
    caplog.handler.addFilter(Masking())
    with caplog.at_level(logging.DEBUG):
        answer = website.post("/subscribe", FORM)
        # The server tells of it after the answer has gone out.
        wait_until(lambda: "defect" in caplog.text)

    assert answer.status == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "Something went wrong" in answer.body
    assert "new@example.com" not in caplog.text


def test_the_log_of_a_whole_visit_holds_no_address_and_no_token(
    website: Website, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        website.post("/subscribe", FORM)
        for path in paths:
            website.get(path)
            website.post(path, {"email": "new@example.com", "List-Unsubscribe": "One-Click"})

    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("mailer")
    )
    assert "@example.com" not in ours
    assert not [path for path in paths if len(path) > 40 and path.rpartition("/")[2] in ours]


def test_health_and_readiness(website: Website, database: Database) -> None:
    assert website.get("/healthz").status == 200
    assert website.get("/readyz").status == 200
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    assert website.get("/healthz").status == 200
    answer = website.get("/readyz")
    assert (answer.status, answer.body) == (503, "not ready\n")
