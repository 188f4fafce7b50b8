"""Reports of mail providers over real sockets: whose are taken, what they do, and what they cannot do."""

import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from mailer.db import Database
from mailer.models import BounceEvent, ConsentEvent, ConsentKind, Subscription
from mailer.tokens import Keys
from mailer.web import webhooks
from mailer.web.amazon_sns import AmazonUnreachable
from mailer.web.request_limits import MOST_OF_ONE_CLIENT
from tests.integration.web.conftest import Paper, Serve
from tests.support import bounces, factories
from tests.support import provider_payloads as payloads
from tests.support.bounces import SentDigest
from tests.support.factories import NOW
from tests.support.provider_payloads import CERTIFICATE_URL, SUBSCRIBE_URL, TOPIC, amazon
from tests.support.waiting import wait_until
from tests.support.website import Answer, Website, serving

NAMED = f"ses={TOPIC},mailgun={payloads.MAILGUN_KEY},postmark,brevo"
PROVIDERS = ("ses", "mailgun", "postmark", "brevo")


class Amazon:
    """What SNS serves, in the place of the network, and what was asked for."""

    def __init__(self) -> None:
        self.documents = {CERTIFICATE_URL: amazon().certificate, SUBSCRIBE_URL: b"<ok/>"}
        self.asked: list[str] = []
        self.is_down = False

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise AmazonUnreachable("it did not answer in time")
        return self.documents[url]


@pytest.fixture
def sns() -> Amazon:
    return Amazon()


@pytest.fixture
def sent(database: Database, keys: Keys, paper: Paper) -> SentDigest:
    """A digest that a hundred readers got."""
    with database.write() as session:
        factories.readers(session, keys, paper.morning, 100)
        return bounces.sent_digest(session, paper.morning)


@pytest.fixture
def website(serve: Serve, sns: Amazon) -> Iterator[Website]:
    with serve(webhook_keys=NAMED, get=sns) as found:
        yield found


def address(website: Website, provider: str) -> str:
    return f"/webhooks/{provider}/{website.app.keys.webhook_secret(provider)}"


def post(website: Website, provider: str, payload: Any, kind: str = "application/json") -> Answer:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return website.ask("POST", address(website, provider), body, {"Content-Type": kind})


def notify(website: Website, event: object) -> Answer:
    signed = amazon().sign(payloads.sns_notification(event))
    # SNS says that its JSON is text.
    return post(website, "ses", signed, "text/plain; charset=UTF-8")


HARD: dict[str, Callable[[str], Any]] = {
    "ses": lambda reference: amazon().sign(
        payloads.sns_notification(payloads.ses_bounce(reference, diagnosticCode="550 5.1.1 gone"))
    ),
    "mailgun": lambda reference: payloads.mailgun_failed(reference, message="550 5.1.1 gone"),
    "postmark": lambda reference: payloads.postmark_bounce(reference) | {"Details": "5.1.1 gone"},
    "brevo": lambda reference: payloads.brevo(reference, reason="550 5.1.1 gone"),
}
COMPLAINT: dict[str, Callable[[str], Any]] = {
    "ses": lambda reference: amazon().sign(
        payloads.sns_notification(payloads.ses_complaint(reference))
    ),
    "mailgun": lambda reference: payloads.mailgun(reference, "complained"),
    "postmark": lambda reference: payloads.postmark_bounce(reference, "SpamComplaint"),
    "brevo": lambda reference: payloads.brevo(reference, "spam"),
}
LEFT: dict[str, Callable[[str], Any]] = {
    "ses": lambda reference: amazon().sign(
        payloads.sns_notification(payloads.ses_bounce(reference, subtype="UnsubscribedRecipient"))
    ),
    "mailgun": lambda reference: payloads.mailgun(reference, "unsubscribed"),
    "postmark": lambda reference: payloads.postmark_suppression(reference, "ManualSuppression"),
    "brevo": lambda reference: payloads.brevo(reference, "unsubscribed"),
}


def suppressed(website: Website) -> dict[str, str]:
    with website.app.database.read() as session:
        return bounces.suppressed(session)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_reports_is_recorded_once_and_has_its_effect(
    website: Website, sent: SentDigest, keys: Keys, provider: str
) -> None:
    gone, angry, tired = (bounces.reference(keys, mail) for mail in sent.mails[:3])
    for _ in range(2):
        assert post(website, provider, HARD[provider](gone)).status == 200
        assert post(website, provider, COMPLAINT[provider](angry)).status == 200
        answer = post(website, provider, LEFT[provider](tired))
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})

    assert suppressed(website) == {
        "reader1@example.com": "bounced",
        "reader2@example.com": "complained",
    }
    events = website.rows(select(BounceEvent).order_by(BounceEvent.id))
    assert [(event.kind.value, event.source) for event in events] == [
        ("hard", provider),
        ("complaint", provider),
        ("unsubscribe", provider),
    ]
    assert (events[0].status, events[0].reported_at) == ("5.1.1", NOW)
    (left,) = website.rows(select(Subscription).where(Subscription.left_at.is_not(None)))
    assert left.id == sent.mails[2].subscription_id
    assert {event.kind for event in website.rows(select(ConsentEvent))} == {
        ConsentKind.COMPLAINED,
        ConsentKind.UNSUBSCRIBED,
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_forged_reference_acts_on_nobody(
    website: Website,
    sent: SentDigest,
    keys: Keys,
    provider: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = bounces.reference(keys, sent.mails[0])
    before = website.content()
    number, tag = own.split(".")
    forged = [
        f"{number}.{'0' * 32}",
        f"d{sent.mails[1].id}.{tag}",
        f"n{sent.mails[0].id}.{tag}",
        f"d999999.{tag}",
        f"d{2**63}.{tag}",
        f"{sent.mails[0].id}",
        "reader1@example.com",
        "",
    ]
    for reference in forged:
        for report in (HARD, COMPLAINT, LEFT):
            assert post(website, provider, report[provider](reference)).status == 200
    assert website.content() == before
    assert Counter(record.getMessage() for record in caplog.records) == {
        f"{provider} reported about 1 mail that is not ours": 4 * 3,
        f"{provider} reported about 1 mail without our reference; "
        "docs/webhooks.md says what to switch on": 4 * 3,
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_the_secret_of_the_provider_opens_its_address(
    website: Website, sent: SentDigest, keys: Keys, provider: str
) -> None:
    before = website.content()
    body = json.dumps(HARD[provider](bounces.reference(keys, sent.mails[0]))).encode()
    good = address(website, provider)
    other = address(website, "brevo" if provider != "brevo" else "ses").rpartition("/")[2]
    wrong = [
        good[:-1],
        good + "0",
        good + "/",
        good.replace(provider, provider.upper()),
        f"/webhooks/{provider}/{other}",
        f"/webhooks/{provider}/",
        f"/webhooks/{provider}",
        f"/webhooks/sendgrid/{other}",
        f"/webhooks/{provider}/%00%ff%f0%9f",
    ]
    nowhere = website.ask("POST", "/webhooks/nothing/at/all", body)
    for path in wrong:
        answer = website.ask("POST", path, body)
        assert (answer.status, answer.body) == (404, nowhere.body), path
    assert website.content() == before


def test_a_provider_that_is_not_named_has_no_address(
    serve: Serve, sent: SentDigest, keys: Keys
) -> None:
    with serve(webhook_keys="postmark") as website:
        for provider in PROVIDERS:
            answer = post(website, provider, HARD[provider](bounces.reference(keys, sent.mails[0])))
            assert answer.status == (200 if provider == "postmark" else 404)
    with serve() as website:
        assert post(website, "postmark", payloads.postmark_bounce("x")).status == 404


def test_the_secrets_of_older_keys_are_still_taken(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    old = keys.webhook_secret("postmark")
    rotated = Keys(secrets=(b"a new secret key" * 3, *keys.secrets), identity=keys.identity)
    body = json.dumps(payloads.postmark_bounce(bounces.reference(keys, sent.mails[0]))).encode()
    with serving(database, rotated, webhook_keys="postmark") as website:
        assert website.ask("POST", f"/webhooks/postmark/{old}", body).status == 200
        assert address(website, "postmark") != f"/webhooks/postmark/{old}"
    retired = Keys(secrets=rotated.secrets[:1], identity=keys.identity)
    with serving(database, retired, webhook_keys="postmark") as website:
        assert website.ask("POST", f"/webhooks/postmark/{old}", body).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(website: Website, method: str) -> None:
    answer = website.ask(method, address(website, "ses"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_body_of_up_to_a_megabyte_is_taken(
    website: Website, sent: SentDigest, keys: Keys, provider: str
) -> None:
    body = json.dumps(HARD[provider](bounces.reference(keys, sent.mails[0]))).encode()
    full = body + b" " * (webhooks.MAX_BYTES - len(body))
    answer = post(website, provider, full + b" ")
    assert answer.status == 413
    assert json.loads(answer.body) == {"error": "the body is too large"}
    assert suppressed(website) == {}
    assert post(website, provider, full).status == 200
    assert suppressed(website) == {"reader1@example.com": "bounced"}


def test_a_chunked_body_that_is_too_large_is_refused(website: Website) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    path = address(website, "postmark").encode()
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", website.port), timeout=300) as client:
        client.sendall(head + chunk * 17)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"7", b'"x"', b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b"event=failed"],
)
def test_what_is_no_json_object_is_refused_in_one_line(
    website: Website, provider: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(website, provider, body, "application/x-www-form-urlencoded")
    assert answer.status == 400
    assert json.loads(answer.body) == {"error": "the body must be a JSON object"}
    (record,) = caplog.records
    assert record.getMessage() == (
        f"refused a request to the webhook of {provider}: it is no JSON object"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("provider", PROVIDERS)
def test_hostile_values_anywhere_are_never_an_error_of_ours(
    website: Website, sent: SentDigest, keys: Keys, provider: str
) -> None:
    good = HARD[provider](bounces.reference(keys, sent.mails[0]))
    hostile = [None, True, -1, 10**4000, 1e308, "\ud800\u0000\u202e" * 50, "x" * 50_000, [[]], {}]
    before = website.content()

    def variants(value: Any) -> Iterator[Any]:
        yield from hostile
        if isinstance(value, dict):
            for name in value:
                for variant in variants(value[name]):
                    yield {**value, name: variant}

    if provider == "mailgun":
        # What is not signed of it.
        bodies = [{**good, "event-data": variant} for variant in variants(good["event-data"])]
    elif provider == "ses":
        event = json.loads(good["Message"])
        bodies = [
            amazon().sign(payloads.sns_notification(variant))
            for variant in [*variants(event)][::3]
            if "\ud800" not in json.dumps(variant, ensure_ascii=False)
        ]
        bodies += variants(good)
    else:
        bodies = [*variants(good)]
    for body in bodies:
        if isinstance(body, dict):
            answer = post(website, provider, body)
            assert answer.status in {200, 403}, body
    after = website.content()
    # Only variants that leave the reference and the verdict as they are count.
    assert len(after["suppression"]) <= len(before["suppression"]) + 1
    assert len(after["bounce_event"]) <= 3


def test_brevo_may_report_several_events_at_once(
    website: Website, sent: SentDigest, keys: Keys
) -> None:
    events = [payloads.brevo(bounces.reference(keys, mail)) for mail in sent.mails[:3]]
    assert post(website, "brevo", [*events, 7, None]).status == 200
    assert len(suppressed(website)) == 3


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_event_that_is_not_known_is_answered_200_and_logged_without_addresses(
    website: Website, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {
        "ses": amazon().sign(payloads.sns_notification({"eventType": "Odd reader@example.com"})),
        "mailgun": payloads.mailgun("x", "odd"),
        "postmark": payloads.postmark("x", "Odd\nforged line"),
        "brevo": payloads.brevo("x", "odd"),
    }
    assert post(website, provider, odd[provider]).status == 200
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{provider} reported an event that is not known: ")
    assert "example.com" not in record.getMessage()
    assert "\n" not in record.getMessage()


def test_what_ses_delivers_and_tests_changes_nothing_and_is_not_logged(
    website: Website, caplog: pytest.LogCaptureFixture
) -> None:
    before = website.content()
    test = "Successfully validated SNS topic for Amazon SES event publishing."
    assert notify(website, test).status == 200
    assert notify(website, {"eventType": "Delivery", "mail": payloads.ses_mail("x")}).status == 200
    assert website.content() == before
    assert caplog.records == []
    assert notify(website, "Hello, is this on?").status == 200
    assert [one.getMessage() for one in caplog.records] == [
        "ses reported an event that is not known: (no JSON)"
    ]


def refused(website: Website, provider: str, payload: Any) -> None:
    before = website.content()
    answer = post(website, provider, payload)
    assert answer.status == 403
    assert json.loads(answer.body) == {"error": "this was not signed by the provider for us"}
    assert website.content() == before


def test_what_amazon_did_not_sign_for_our_topic_is_refused_and_nothing_is_fetched(
    website: Website, sent: SentDigest, keys: Keys, sns: Amazon, caplog: pytest.LogCaptureFixture
) -> None:
    event = payloads.ses_bounce(bounces.reference(keys, sent.mails[0]))
    good = payloads.sns_notification(event)
    # Raw delivery.
    refused(website, "ses", event)
    refused(website, "ses", amazon().sign({**good, "TopicArn": TOPIC.replace("12345", "99999")}))
    for url in (
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "http://sns.eu-central-1.amazonaws.com/a.pem",
        "https://169.254.169.254/a.pem",
    ):
        refused(website, "ses", amazon().sign({**good, "SigningCertURL": url}))
        confirmation = payloads.sns_confirmation(SubscribeURL=url)
        refused(website, "ses", amazon().sign(confirmation))
    assert sns.asked == []
    refused(website, "ses", payloads.Signer().sign(good))
    refused(website, "ses", amazon().sign(good) | {"Message": json.dumps(event) + " "})
    assert sns.asked == [CERTIFICATE_URL]
    assert "raw message delivery" in caplog.text
    assert "another topic" in caplog.text


def test_a_signature_of_mailgun_is_refused_when_it_is_wrong_or_old(
    website: Website, sent: SentDigest, keys: Keys
) -> None:
    event = payloads.mailgun_failed(bounces.reference(keys, sent.mails[0]))["event-data"]
    refused(website, "mailgun", {"event-data": event})
    refused(website, "mailgun", payloads.mailgun_signed(event, key="f" * 32))
    refused(website, "mailgun", payloads.mailgun_signed(event, at=NOW - timedelta(hours=13)))
    # The one that Mailgun tries last.
    late = payloads.mailgun_signed(event, at=NOW - timedelta(hours=8))
    assert post(website, "mailgun", late).status == 200
    assert suppressed(website) == {"reader1@example.com": "bounced"}


def test_a_subscription_of_our_topic_is_confirmed(
    website: Website, sns: Amazon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    signed = amazon().sign(payloads.sns_confirmation(), "1")
    assert post(website, "ses", signed, "text/plain; charset=UTF-8").status == 200
    assert sns.asked == [CERTIFICATE_URL, SUBSCRIBE_URL]
    assert "confirmed the subscription" in caplog.text
    ended = amazon().sign(payloads.sns_confirmation("UnsubscribeConfirmation"))
    assert post(website, "ses", ended).status == 200
    # Nothing is confirmed again by itself.
    assert sns.asked == [CERTIFICATE_URL, SUBSCRIBE_URL]
    assert "was ended" in caplog.text


def test_while_amazon_cannot_be_asked_it_is_told_to_try_again(
    website: Website, sent: SentDigest, keys: Keys, sns: Amazon
) -> None:
    sns.is_down = True
    event = payloads.ses_bounce(bounces.reference(keys, sent.mails[0]))
    answer = notify(website, event)
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    sns.is_down = False
    sns.documents[CERTIFICATE_URL] = b"<html>Sorry</html>"
    assert notify(website, event).status == 503
    sns.documents[CERTIFICATE_URL] = amazon().certificate
    assert notify(website, event).status == 200
    assert suppressed(website) == {"reader1@example.com": "bounced"}
    sns.documents[SUBSCRIBE_URL] = b""
    sns.is_down = True
    assert post(website, "ses", amazon().sign(payloads.sns_confirmation())).status == 503


def test_no_answer_has_a_cookie_or_may_be_stored(website: Website) -> None:
    for answer in (
        post(website, "brevo", payloads.brevo("x", "delivered")),
        post(website, "brevo", b"{"),
        post(website, "mailgun", {}),
        website.ask("POST", "/webhooks/brevo/wrong"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"
        assert "set-cookie" not in answer.headers


@pytest.mark.thorough
def test_many_reports_at_once_are_recorded_and_leave_room_for_readers(
    website: Website, sent: SentDigest, keys: Keys
) -> None:
    references = [bounces.reference(keys, mail) for mail in sent.mails]
    # Few enough hard bounces that they suppress.
    bodies = [HARD["postmark"](one) for one in references[:4]]
    bodies += [COMPLAINT["postmark"](one) for one in references[4:40]]
    bodies += [LEFT["postmark"](one) for one in references[40:]]

    def report(body: Any) -> int:
        # A provider tries again when it is told to.
        for _ in range(200):
            answer = post(website, "postmark", body)
            if answer.status != 503:
                return answer.status
        return 503

    with ThreadPoolExecutor(60) as pool:
        reports = [pool.submit(report, one) for one in [*bodies, *bodies]]
        pages = [
            website.post("/subscribe", {"email": f"new{n}@example.com", "newsletter": "daily"})
            for n in range(5)
        ]
        assert {one.result() for one in reports} == {200}
    assert {page.status for page in pages} == {200}
    assert len(website.rows(select(BounceEvent))) == len(references)
    assert Counter(suppressed(website).values()) == {"bounced": 4, "complained": 36}
    left = website.rows(select(Subscription).where(Subscription.left_at.is_not(None)))
    assert len(left) == 60


def test_a_burst_of_reports_is_told_to_wait_and_keeps_no_reader_out(
    serve: Serve, sns: Amazon
) -> None:
    go = threading.Event()

    def slow(url: str) -> bytes:
        assert go.wait(300)
        return sns(url)

    with (
        serve(webhook_keys=NAMED, get=slow) as website,
        ThreadPoolExecutor(MOST_OF_ONE_CLIENT + 3) as pool,
    ):
        reports = [
            pool.submit(notify, website, {"eventType": "Send"})
            for _ in range(MOST_OF_ONE_CLIENT + 3)
        ]
        try:
            # The others wait for the certificate.
            wait_until(lambda: sum(one.done() for one in reports) == 3)
            answer = post(website, "postmark", payloads.postmark("x", "Open"))
            brevo = post(website, "brevo", payloads.brevo("x", "opened"))
            page = website.post("/subscribe", {"email": "a@example.com", "newsletter": "daily"})
        finally:
            go.set()
        told = Counter(one.result().status for one in reports)
    assert told == {200: MOST_OF_ONE_CLIENT, 503: 3}
    assert (answer.status, brevo.status, page.status) == (503, 429, 200)
    assert json.loads(answer.body) == {"error": "cannot save anything right now; try again later"}
    assert int(answer.headers["retry-after"]) > 0


def test_a_defect_of_ours_is_tried_again_by_all(
    website: Website,
    sent: SentDigest,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("defect")

    reference = bounces.reference(keys, sent.mails[0])
    with monkeypatch.context() as patch:
        patch.setattr("mailer.web.webhooks.record", fail)
        brevo = post(website, "brevo", HARD["brevo"](reference))
        postmark = post(website, "postmark", HARD["postmark"](reference))
        wait_until(lambda: caplog.text.count("RuntimeError: defect") >= 2)
    assert (brevo.status, postmark.status) == (429, 500)
    assert brevo.headers["retry-after"] == "30"
    assert json.loads(postmark.body) == {"error": "something went wrong"}


def test_brevo_is_told_to_try_again_in_the_only_way_that_it_does(
    sqlite_database: Database, keys: Keys
) -> None:
    with sqlite_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 1)
        digest = bounces.sent_digest(session, schedule)
    reference = bounces.reference(keys, digest.mails[0])
    with serving(sqlite_database, keys, webhook_keys=NAMED) as website:
        with sqlite_database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("PRAGMA query_only = ON"))
        brevo = post(website, "brevo", HARD["brevo"](reference))
        postmark = post(website, "postmark", HARD["postmark"](reference))
    assert (brevo.status, postmark.status) == (429, 503)
    assert brevo.headers["retry-after"] == "30"
    assert int(postmark.headers["retry-after"]) > 0


def test_one_certificate_is_fetched_once_however_many_wait_for_it(
    serve: Serve, sns: Amazon
) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(url: str) -> bytes:
        entered.set()
        assert go.wait(300)
        return sns(url)

    with serve(webhook_keys=NAMED, get=slow) as website, ThreadPoolExecutor(8) as pool:
        event = {"eventType": "Send"}
        answers = [pool.submit(notify, website, event) for _ in range(8)]
        assert entered.wait(300)
        # Meanwhile pages are answered.
        assert website.get("/").status == 200
        go.set()
        assert {one.result().status for one in answers} == {200}
    assert sns.asked == [CERTIFICATE_URL]
