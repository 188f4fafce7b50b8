"""DKIM keys in DNS: whether the published one is ours and can be used, and how long it is."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailer.doctor.dns.answers import DnsAnswer, DnsStatus
from mailer.doctor.dns.dkim_key import PublishedKey, check_dkim_key, rsa_bits
from mailer.doctor.finding import Severity


def public(bits: int, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return KEYS[bits].public_key().public_bytes(Encoding.DER, form)


KEYS = {bits: rsa.generate_private_key(65537, bits) for bits in (1024, 2048)}
OTHER = rsa.generate_private_key(65537, 1024).public_key()
ED25519 = base64.b64encode(
    ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
).decode()
P = base64.b64encode(public(2048)).decode()
BARE = base64.b64encode(public(2048, PublicFormat.PKCS1)).decode()
FOREIGN = base64.b64encode(
    OTHER.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
OURS = PublishedKey("s1", "news.example", f"v=DKIM1; k=rsa; p={P}")


def answer(*records: str) -> DnsAnswer:
    return DnsAnswer(DnsStatus.FOUND if records else DnsStatus.NO_DOMAIN, records)


JUDGED = [
    (f"v=DKIM1; k=rsa; p={P}", "ok", "2048 bits"),
    (f"k=rsa;p={P}", "ok", "ours"),
    (f"p={P}; t=s", "ok", "ours"),
    (f"v=DKIM1; p={P[:100]} {P[100:]}", "ok", "ours"),
    (f"v=DKIM1; p={BARE}", "ok", "ours"),
    (f"v=DKIM1; h=sha1:sha256; s=email; p={P}", "ok", "ours"),
    (f"v=DKIM1; h=sha1; p={P}", "problem", "sha256"),
    (f"v=DKIM1; s=tlsrpt; p={P}", "problem", "not for mail"),
    (f"v=DKIM1; t=y; p={P}", "warning", "tested"),
    ("v=DKIM1; p=", "problem", "revoked"),
    (f"v=DKIM1; p={FOREIGN}", "problem", "another one"),
    (f"v=DKIM1; p={P[:200]}x!", "problem", "cannot be read"),
    (f"v=DKIM1; p={P[:200]}", "problem", "another one"),
    (f"v=DKIM1; k=ed25519; p={ED25519}", "problem", "k=ed25519"),
    (f"v=DKIM2; p={P}", "problem", "no DKIM key"),
    ("hello", "problem", "no DKIM key"),
    ("v=DKIM1; k=rsa", "problem", "no DKIM key"),
    ("v=spf1 -all", "problem", "no DKIM key"),
]


@pytest.mark.parametrize(("record", "severity", "words"), JUDGED, ids=range(len(JUDGED)))
def test_the_record_of_our_key_is_judged(record: str, severity: str, words: str) -> None:
    (finding,) = check_dkim_key(OURS, answer(record))
    assert (finding.severity, words in finding.what) == (severity, True), finding.what
    if severity == "problem":
        assert finding.record is not None
        assert finding.record.value == OURS.ours


def test_an_ed25519_key_of_ours_is_fine() -> None:
    record = f"v=DKIM1; k=ed25519; p={ED25519}"
    (finding,) = check_dkim_key(PublishedKey("s2", "news.example", record), answer(record))
    assert finding.severity is Severity.OK


@pytest.mark.parametrize(("bits", "severity"), [(1024, "warning"), (2048, "ok")])
def test_the_length_of_a_relays_key_is_judged(bits: int, severity: str) -> None:
    record = f"v=DKIM1; p={base64.b64encode(public(bits)).decode()}"
    (finding,) = check_dkim_key(PublishedKey("s1", "news.example"), answer(record))
    assert (finding.severity, str(bits) in finding.what) == (severity, True)


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_the_length_of_a_key_is_read_from_both_forms(form: PublicFormat) -> None:
    assert rsa_bits(public(1024, form)) == 1024


def test_missing_several_and_unknown_records() -> None:
    (missing,) = check_dkim_key(OURS, answer())
    (several,) = check_dkim_key(OURS, answer("a=b", f"p={P}"))
    (unknown,) = check_dkim_key(OURS, DnsAnswer(DnsStatus.FAILED, error="no answer"))
    assert [one.severity for one in (missing, several, unknown)] == [
        "problem",
        "problem",
        "warning",
    ]


@given(st.text(max_size=200))
def test_no_text_breaks_the_judgement(text: str) -> None:
    for record in (text, f"v=DKIM1; p={text}"):
        for finding in check_dkim_key(OURS, answer(record)):
            assert finding.what.isprintable()


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_a_length(data: bytes) -> None:
    rsa_bits(data)
    rsa_bits(b"\x30\x82" + data)
    rsa_bits(b"\x30\x3a\x30" + data)
