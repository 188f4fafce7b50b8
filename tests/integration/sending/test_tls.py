"""TLS and AUTH against aiosmtpd: without a good certificate not one MAIL command is said."""

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailer.clock import Times
from mailer.sending.composer import Composer
from mailer.sending.send_loop import Sender
from mailer.sending.smtp.connection import Connection, RelayConfig, connect
from mailer.sending.smtp.conversation import Capabilities
from mailer.sending.smtp.events import Credentials, Envelope, Step, Tls
from mailer.sending.smtp.verdict import Lost, Unopened
from tests.support.certificates import DAY, Certificates
from tests.support.sending import Post, alerts, config, sending
from tests.support.tls_relay import PASSWORD, USER, aiosmtpd_relay
from tests.support.waiting import wait_until

LOGIN = Credentials(USER, PASSWORD)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.issue("good", "localhost")
    made.issue("wrong-name", "other.example")
    made.issue("expired", "localhost", -DAY)
    made.issue_self_signed("self-signed", "localhost")
    return made


def relay(port: int, tls: Tls, **changes: Any) -> RelayConfig:
    return RelayConfig("localhost", port, "news.example", tls, **changes)


@pytest.fixture
def make_tls_sender(
    post: Post, composer: Composer, certificates: Certificates, free_port: int
) -> Callable[..., Sender]:
    """Makes a sender that speaks STARTTLS, and is given how it logs in."""

    def make(**changes: Any) -> Sender:
        return Sender(
            post.database,
            config(free_port, relay=relay(free_port, Tls.STARTTLS, **changes)),
            composer,
            times=Times(),
            alerts=alerts(post.keys),
            tls_context=certificates.authority,
        )

    return make


def test_starttls_and_auth_send_a_digest(
    post: Post,
    make_tls_sender: Callable[..., Sender],
    certificates: Certificates,
    free_port: int,
) -> None:
    post.build(12)
    good = certificates.server("good")
    options = {"tls_context": good, "require_starttls": True, "auth_required": True}
    with aiosmtpd_relay(free_port, **options) as seen, sending(make_tls_sender(credentials=LOGIN)):
        wait_until(post.is_sent)
    assert sorted(seen.recipients) == sorted(f"reader{n}@example.com" for n in range(1, 13))
    assert set(seen.logins) == {(USER.encode(), PASSWORD.encode(), True)}
    # Before TLS and after it, on each connection.
    assert seen.commands.count("EHLO") == 2 * len(seen.logins)


@pytest.mark.parametrize("excluded", [["PLAIN"], ["LOGIN"]])
def test_both_ways_to_log_in_work(
    certificates: Certificates, free_port: int, excluded: list[str]
) -> None:
    with aiosmtpd_relay(
        free_port, tls_context=certificates.server("good"), auth_exclude_mechanism=excluded
    ) as seen:
        found = connect(relay(free_port, Tls.STARTTLS, credentials=LOGIN), certificates.authority)
        assert isinstance(found, Connection)
        found.close()
    assert seen.logins == [(USER.encode(), PASSWORD.encode(), True)]


def test_implicit_tls_works(certificates: Certificates, free_port: int) -> None:
    with aiosmtpd_relay(free_port, ssl_context=certificates.server("good")):
        found = connect(relay(free_port, Tls.IMPLICIT), certificates.authority)
        assert isinstance(found, Connection)
        assert found.conversation.capabilities != Capabilities()
        found.close()


def test_a_big_mail_goes_through_tls_whole(certificates: Certificates, free_port: int) -> None:
    options = {"ssl_context": certificates.server("good"), "data_size_limit": 10**7}
    with aiosmtpd_relay(free_port, **options) as seen:
        found = connect(relay(free_port, Tls.IMPLICIT), certificates.authority)
        assert isinstance(found, Connection)
        found.conversation.begin(
            Envelope("news@example.com", "ani@example.org"),
            b"x: y\r\n\r\n" + (b"z" * 76 + b"\r\n") * 50_000,
        )
        said: list[Any] = []

        def sent() -> bool:
            found.flush()
            said.extend(found.receive())
            if found.conversation.step is Step.BLOCK and found.flushed:
                found.conversation.finish()
            return bool(seen.recipients)

        wait_until(sent, every=0.001)
        found.close()
    assert seen.recipients == ["ani@example.org"]


@pytest.mark.parametrize("bad", ["self-signed", "wrong-name", "expired", "of a foreign authority"])
@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_a_bad_certificate_is_refused_before_anything_is_said(
    certificates: Certificates, free_port: int, tls: Tls, bad: str
) -> None:
    is_foreign = bad == "of a foreign authority"
    # Without an authority of ours the system's are asked.
    authority = None if is_foreign else certificates.authority
    server = certificates.server("good" if is_foreign else bad)
    option = "tls_context" if tls is Tls.STARTTLS else "ssl_context"
    with aiosmtpd_relay(free_port, **{option: server}) as seen:
        found = connect(relay(free_port, tls, credentials=LOGIN), authority)
    assert isinstance(found, Unopened)
    assert (found.step, found.answer) == (Step.STARTTLS, Lost.DROP)
    assert "certificate" in found.reason
    assert "MAIL" not in seen.commands
    assert seen.logins == []


def test_where_starttls_is_not_offered_nothing_is_said_in_plain_text(
    certificates: Certificates, free_port: int
) -> None:
    with aiosmtpd_relay(free_port) as seen:
        found = connect(relay(free_port, Tls.STARTTLS, credentials=LOGIN), certificates.authority)
    assert isinstance(found, Unopened)
    assert found.step is Step.STARTTLS
    assert "MAIL" not in seen.commands
    assert seen.logins == []


@pytest.mark.parametrize("bad", ["self-signed", None])
def test_a_sender_waits_rather_than_send_without_tls(
    post: Post,
    make_tls_sender: Callable[..., Sender],
    certificates: Certificates,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
    bad: str | None,
) -> None:
    post.build(3)
    options = {"tls_context": certificates.server(bad)} if bad else {}
    with aiosmtpd_relay(free_port, **options) as seen, sending(make_tls_sender()):
        wait_until(lambda: caplog.text.count("the relay failed") >= 2)
        assert not post.is_sent()
    assert "MAIL" not in seen.commands


def test_a_wrong_password_stops_the_run_and_is_in_no_log(
    post: Post,
    make_tls_sender: Callable[..., Sender],
    certificates: Certificates,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    post.build(3)
    wrong = "not-the-password"
    caplog.set_level("DEBUG", "mailer")
    with (
        aiosmtpd_relay(free_port, tls_context=certificates.server("good")) as seen,
        sending(make_tls_sender(credentials=Credentials(USER, wrong))),
    ):
        wait_until(lambda: "the relay refuses us" in caplog.text)
    assert "MAIL" not in seen.commands
    assert len(seen.logins) <= 8
    mine = [record for record in caplog.records if record.name.startswith("mailer")]
    assert all(wrong not in record.getMessage() for record in mine)


def test_a_relay_that_is_silent_is_not_waited_for_longer_than_its_time(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        slow = relay(free_port, Tls.NONE)
        found = connect(replace(slow, timeouts={**slow.timeouts, Step.GREETING: 0.1}))
    assert found == Unopened(Step.GREETING, Lost.TIMEOUT, Lost.TIMEOUT)


def test_nobody_listens(free_port: int) -> None:
    found = connect(relay(free_port, Tls.NONE))
    assert isinstance(found, Unopened)
    assert (found.step, found.answer) == (Step.CONNECT, Lost.DROP)


def test_a_name_that_is_nobody_s_is_told() -> None:
    found = connect(RelayConfig("relay.invalid", 25, "news.example"))
    assert isinstance(found, Unopened)
    assert found.step is Step.CONNECT
