"""Asking Amazon SNS over real TLS: its name and its address are checked, and nothing is followed."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailer.web.amazon_sns import LIMITS, AmazonSns, AmazonUnreachable, get_document
from tests.integration.feeds.test_fetch import Talk, recorded, reply, serving

HOST = "sns.eu-central-1.amazonaws.com"
PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
QUICK = replace(LIMITS, connect=1.0, read=1.0, total=1.5)
Ask = Callable[[int], bytes]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for the host of SNS, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sns.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def ask(certificate: Path) -> Ask:
    """Asks the server on this port as if it were Amazon's, except that it may be on this machine."""

    def get(port: int) -> bytes:
        return get_document(
            f"https://{HOST}:{port}/SimpleNotificationService-1.pem",
            limits=QUICK,
            resolver=lambda *_: ["127.0.0.1"],
            tls=ssl.create_default_context(cafile=str(certificate)),
            allow_private=True,
        )

    return get


def test_a_document_is_got_by_the_name_of_its_host(server_tls: ssl.SSLContext, ask: Ask) -> None:
    talk, heads = recorded(reply(PEM))
    with serving(talk, server_tls) as port:
        assert ask(port) == PEM
    assert heads[0].startswith(b"GET /SimpleNotificationService-1.pem HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}:{port}\r\n".encode() in heads[0]


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (reply(b"", "404 Not Found"), "answered 404"),
        (reply(b"", "403 Forbidden"), "answered 403"),
        (reply(b"", "500 Internal Server Error"), "answered 500"),
        (reply(b"x" * 70_000), "larger than"),
        (lambda *_: None, "broke off"),
    ],
)
def test_another_answer_is_told(server_tls: ssl.SSLContext, ask: Ask, talk: Talk, why: str) -> None:
    with serving(talk, server_tls) as port, pytest.raises(AmazonUnreachable, match=why) as caught:
        ask(port)
    # Advice about feeds would mislead.
    assert "feed" not in str(caught.value)


def test_no_redirect_is_followed(server_tls: ssl.SSLContext, ask: Ask) -> None:
    # Not even to the same host, which is allowed otherwise.
    talk, heads = recorded(reply(b"", "302 Found", Location="/other.pem"))
    with serving(talk, server_tls) as port, pytest.raises(AmazonUnreachable, match="redirects"):
        ask(port)
    assert len(heads) == 1


def test_a_server_that_is_not_amazons_is_not_believed(server_tls: ssl.SSLContext, ask: Ask) -> None:
    talk, heads = recorded(reply(PEM))
    with serving(talk, server_tls) as port, pytest.raises(AmazonUnreachable, match="not valid"):
        # With the certificates of the system.
        get_document(
            f"https://{HOST}:{port}/x.pem",
            limits=QUICK,
            resolver=lambda *_: ["127.0.0.1"],
            allow_private=True,
        )
    assert heads == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_an_address_that_is_not_public_is_not_asked(address: str) -> None:
    with pytest.raises(AmazonUnreachable, match=r"private network|not on a network"):
        get_document(f"https://{HOST}/x.pem", limits=QUICK, resolver=lambda *_: [address])


def test_a_certificate_is_asked_for_once_and_few_are_kept() -> None:
    asked = []

    def get(url: str) -> bytes:
        asked.append(url)
        return PEM

    sns = AmazonSns(get)
    assert sns.certificate("1") == sns.certificate("1") == PEM
    assert asked == ["1"]
    for number in range(100):
        sns.certificate(str(number))
    assert len(sns._certificates) <= 8


def test_an_answer_that_is_no_certificate_is_not_kept() -> None:
    answers = [b"<html>Sorry</html>", PEM]
    sns = AmazonSns(lambda _: answers.pop(0))
    with pytest.raises(AmazonUnreachable):
        sns.certificate("1")
    assert sns.certificate("1") == PEM
