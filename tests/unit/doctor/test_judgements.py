"""What the doctor says of the relay, the website, the clock, files, newsletters and returned mail."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailer.doctor import (
    clock_check,
    examine,
    files,
    installation,
    relay,
    returned_mail,
    signing,
    website,
)
from mailer.doctor.examine import Check
from mailer.doctor.files import FileSeen
from mailer.doctor.finding import CheckFinding, ok
from mailer.doctor.installation import NewsletterFacts
from mailer.doctor.relay import RelayAnswer, RelayFacts
from mailer.doctor.website import PageSeen
from mailer.sending.smtp.capabilities import Capabilities
from mailer.sending.smtp.events import Step, Tls

NOW = datetime(2026, 11, 28, 7, tzinfo=UTC)
FACTS = RelayFacts("relay.example", 587, Tls.STARTTLS, logs_in=True, is_local=False)
OPEN = RelayFacts("relay.example", 25, Tls.NONE, logs_in=True, is_local=False)
LOCAL = RelayFacts("127.0.0.1", 25, Tls.NONE, logs_in=False, is_local=True)
GOOD = Capabilities({"SMTPUTF8": (), "PIPELINING": (), "SIZE": ("10000000",)})

RELAY = [
    (FACTS, RelayAnswer(capabilities=GOOD), "ok", "accepts our login"),
    (FACTS, RelayAnswer(), "ok", "no SMTPUTF8"),
    (LOCAL, RelayAnswer(capabilities=GOOD), "ok", "on this machine"),
    (OPEN, RelayAnswer(capabilities=GOOD), "warning", "unencrypted"),
    (FACTS, RelayAnswer(capabilities=Capabilities({"SIZE": ("9000",)})), "warning", "9000 bytes"),
    (FACTS, RelayAnswer(certificate_until=NOW + timedelta(days=3)), "warning", "2026-12-01"),
    (FACTS, RelayAnswer(certificate_until=NOW + timedelta(days=30)), "ok", "over TLS"),
    (FACTS, RelayAnswer(Step.CONNECT, "Connection refused"), "problem", "cannot be reached"),
    (FACTS, RelayAnswer(Step.GREETING, "554 go\x1b away"), "problem", "554 go away"),
    (FACTS, RelayAnswer(Step.STARTTLS, "expired"), "problem", "no TLS that can be trusted"),
    (FACTS, RelayAnswer(Step.AUTH, "535 no"), "problem", "login"),
    (FACTS, RelayAnswer(Step.MAIL, "?"), "problem", "does not talk"),
]


@pytest.mark.parametrize(("facts", "answer", "severity", "words"), RELAY)
def test_the_relay_is_judged(
    facts: RelayFacts, answer: RelayAnswer, severity: str, words: str
) -> None:
    (finding,) = relay.judge_relay(facts, answer, now=NOW)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what
    assert finding.what.isprintable()


URL = "https://news.example"
WEBSITE = [
    (PageSeen(200, "ok\n", certificate_until=NOW + timedelta(days=60)), "ok", "2027-01-27"),
    (PageSeen(200, "ok\n", certificate_until=NOW + timedelta(days=6)), "warning", "expires"),
    (PageSeen(200, "<h1>Our paper</h1>"), "problem", "not as the mailer"),
    (PageSeen(503), "problem", "answers 503"),
    (PageSeen(301, location="https://www.news.example/\x1b[1m"), "problem", "redirects"),
    (PageSeen(error="certificate has expired", is_about_tls=True), "problem", "certificate"),
    (PageSeen(error="Connection refused"), "problem", "cannot be reached"),
]


@pytest.mark.parametrize(("seen", "severity", "words"), WEBSITE)
def test_the_website_is_judged(seen: PageSeen, severity: str, words: str) -> None:
    (finding,) = website.judge_website(URL, seen, is_local=False, now=NOW)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what
    assert finding.what.isprintable()


@pytest.mark.parametrize(
    ("url", "address", "severity"),
    [("https://letters.local", "192.0.2.1", "problem"), ("https://intranet", "9.9.9.9", "problem"),
     ("https://10.1.2.3", "10.1.2.3", "problem"), ("https://[fd00::1]", "fd00::1", "problem"),
     ("https://news.example", "10.1.2.3", "warning"), ("https://news.example", "9.9.9.9", "ok"),
     ("https://news.example", "2620:fe::fe", "ok"), ("https://[2620:fe::fe]", "2620:fe::fe", "ok")],
)  # fmt: skip
def test_readers_must_be_able_to_reach_the_website(url: str, address: str, severity: str) -> None:
    page = PageSeen(200, "ok", address=address)
    (finding,) = website.judge_website(url, page, is_local=False, now=NOW)
    assert finding.severity == severity


def test_links_to_this_machine_are_a_warning() -> None:
    (finding,) = website.judge_website("http://127.0.0.1:8000", PageSeen(), is_local=True, now=NOW)
    assert finding.severity == "warning"


ONE_CLICK = [
    (PageSeen(404), "ok", "reaches the mailer"),
    (PageSeen(200), "problem", "200"),
    (PageSeen(302, location="/login"), "problem", "redirected"),
    (PageSeen(403), "problem", "refused with 403"),
    (PageSeen(502), "problem", "502"),
    (PageSeen(error="gone"), "problem", "no answer"),
]


@pytest.mark.parametrize(("seen", "severity", "words"), ONE_CLICK)
def test_a_one_click_post_is_judged(seen: PageSeen, severity: str, words: str) -> None:
    finding = website.judge_one_click(URL, seen)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what


CLOCK = [
    ({}, "ok", "could not be compared"),
    ({"the website": timedelta(seconds=20)}, "ok", "the website"),
    ({"the website": timedelta(0), "the relay": timedelta(minutes=-5)}, "problem", "5m behind"),
    ({"the relay": timedelta(hours=2)}, "problem", "2h ahead of"),
]


@pytest.mark.parametrize(("differences", "severity", "words"), CLOCK)
def test_the_clock_is_judged(differences: dict[str, timedelta], severity: str, words: str) -> None:
    finding = clock_check.judge_clock(differences)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what


def test_the_time_is_read_from_greetings_that_say_it() -> None:
    exim = "mx.example ESMTP Exim 4.98 Sat, 28 Nov 2026 08:00:00 +0100"
    assert clock_check.date_in_greeting(exim) == NOW
    assert clock_check.date_in_greeting("mx.example ESMTP Postfix") is None
    assert clock_check.date_in_greeting("Sat, 99 Nov 2026 08:00:00 +0100") is None
    assert clock_check.read_date("Sat, 28 Nov 2026 07:00:00 GMT") == NOW
    assert clock_check.read_date("soon") is None


PLACE = Path("/var/lib/mailer/mailer.db")


def seen(path: Path = PLACE, **values: object) -> FileSeen:
    return FileSeen(**{"path": path, "mode": 0o640, "is_writable": True, "free": 50_000_000_000,
                       **values})  # type: ignore[arg-type]  # fmt: skip


DATABASE = [
    (seen(), seen(PLACE.parent), ["ok"]),
    (seen(mode=0o644), seen(PLACE.parent), ["ok", "warning"]),
    (seen(is_writable=False), seen(PLACE.parent), ["problem"]),
    (seen(), seen(PLACE.parent, is_writable=False), ["problem"]),
    (seen(error="Permission denied"), seen(PLACE.parent), ["problem"]),
    (seen(), seen(PLACE.parent, free=1_000_000_000), ["warning"]),
    (seen(), seen(PLACE.parent, free=100_000_000), ["problem"]),
]


@pytest.mark.parametrize(("file", "folder", "severities"), DATABASE)
def test_the_database_file_is_judged(
    file: FileSeen, folder: FileSeen, severities: list[str]
) -> None:
    assert [one.severity for one in files.judge_database_file(file, folder)] == severities


@pytest.mark.parametrize(
    ("mode", "severity"),
    [(0o600, "ok"), (0o640, "ok"), (0o644, "problem"), (0o660, "problem"), (0o400, "ok")],
)
def test_a_file_with_keys_is_judged(mode: int, severity: str) -> None:
    assert files.judge_key_file(seen(mode=mode), "the keys").severity == severity


def test_the_folder_for_backups_is_judged() -> None:
    assert files.judge_backup_folder(None).severity == "ok"
    assert files.judge_backup_folder(seen(error="no such folder")).severity == "problem"
    assert files.judge_backup_folder(seen(is_writable=False)).severity == "problem"
    assert files.judge_backup_folder(seen(is_writable=True)).severity == "ok"


def newsletter(**values: object) -> NewsletterFacts:
    facts = NewsletterFacts(
        slug="daily",
        from_address="daily@news.example",
        from_domain="news.example",
        reply_domain="news.example",
        postal_address="1 Street",
        subscriptions=10,
    )
    return replace(facts, **values)  # type: ignore[arg-type]


def test_newsletters_need_a_postal_address() -> None:
    found = installation.judge_newsletters([newsletter(), newsletter(slug="x", postal_address=" ")])
    assert [one.severity for one in found] == ["ok", "problem", "ok"]


def test_without_a_newsletter_there_is_nothing_to_check() -> None:
    assert [one.severity for one in installation.judge_newsletters([])] == ["warning"]


def test_large_lists_are_told_of_the_rules_for_bulk_senders() -> None:
    (*_, small) = installation.judge_newsletters([newsletter(subscriptions=4999)])
    (*_, large) = installation.judge_newsletters([newsletter(subscriptions=2500)] * 2)
    assert "apply" not in small.what
    assert "apply" in large.what


@pytest.mark.parametrize(
    ("domain", "is_fine"),
    [("news.example", True), ("xn--80ak6aa92e.example", True), ("newѕ.example", False),
     ("xn--new-ipd.example", False), ("xn--u9j5h1btf1e9236a.example", True), ("xn--!.example", True),
     ("նորություն.example", True), ("a-1.example", True)],
)  # fmt: skip
def test_domains_that_mix_scripts_are_a_warning(domain: str, *, is_fine: bool) -> None:
    assert (installation.judge_domain_name(domain) is None) is is_fine


def test_somebody_should_be_told() -> None:
    assert installation.judge_staff_address([]).severity == "warning"
    for staff in (["desk@news.example"], ["desk@news.example", "chief@news.example"]):
        assert installation.judge_staff_address(staff).severity == "ok"


RETURNED = [
    ("bounce@news.example", (), False, ["ok"]),
    (None, (), False, ["warning"]),
    (None, ("ses", "brevo"), False, ["ok", "ok"]),
    ("bounce@news.example", ("ses",), True, ["ok", "problem"]),
]


@pytest.mark.parametrize(("address", "providers", "is_local", "severities"), RETURNED)
def test_ways_back_are_judged(
    address: str | None, providers: tuple[str, ...], severities: list[str], *, is_local: bool
) -> None:
    found = list(
        returned_mail.judge_returned_mail(
            address, "+", providers, is_fetched=True, is_local_url=is_local
        )
    )
    assert [one.severity for one in found] == severities
    if address is not None:
        assert "bounce+test@news.example" in (found[0].do or "")


def test_a_bounce_mailbox_that_nothing_reads_is_told() -> None:
    found = list(
        returned_mail.judge_returned_mail(
            "bounce@news.example", "+", (), is_fetched=False, is_local_url=False
        )
    )
    assert [one.severity for one in found] == ["ok", "warning"]
    assert "bounce_fetch_url" in (found[1].do or "")


SIGNING = [
    (None, False, ["problem"]),
    (None, True, ["ok"]),
    ("news.example", False, []),
    ("other.example", False, ["problem"]),
]


@pytest.mark.parametrize(("domain", "relay_signs", "severities"), SIGNING)
def test_who_signs_is_judged(
    domain: str | None, severities: list[str], *, relay_signs: bool
) -> None:
    found = signing.judge_signing(domain, [newsletter()], relay_signs=relay_signs)
    assert [one.severity for one in found] == severities


def test_checks_run_at_the_same_time_and_are_told_in_their_order() -> None:
    both_run = threading.Barrier(2, timeout=60)
    told: list[tuple[int, int]] = []

    def one(name: str) -> list[CheckFinding]:
        both_run.wait()
        return [ok(name, "", "fine")]

    checks = [Check(name, name, lambda name=name: one(name)) for name in "ab"]  # type: ignore[misc]
    found = examine.run_checks(checks, lambda title, done, number: told.append((done, number)))
    assert [finding.check for finding in found] == ["a", "b"]
    assert told[-1] == (2, 2)


def test_a_check_that_hangs_or_fails_costs_only_its_own_finding(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = threading.Event()

    def hang() -> list[CheckFinding]:
        go_on.wait(60)
        return []

    def fail() -> list[CheckFinding]:
        raise RuntimeError("reader@example.com")

    checks = [
        Check("a", "a", hang),
        Check("b", "b", fail),
        Check("c", "c", lambda: [ok("c", "", "x")]),
    ]
    try:
        found = examine.run_checks(checks, lambda *_: None, seconds=1.0)
    finally:
        go_on.set()
    assert [(one.check, one.severity) for one in found] == [
        ("a", "warning"), ("b", "warning"), ("c", "ok"),
    ]  # fmt: skip
    assert "took too long" in found[0].what
    assert "reader@" not in found[1].what
