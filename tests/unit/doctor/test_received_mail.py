"""What the doctor says of a mail as it was received."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailer.doctor.received_mail import judge_received_mail
from tests.support.dns_records import answering

PUBLIC = base64.b64encode(
    rsa.generate_private_key(65537, 2048)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
DNS = answering(
    {
        ("_dmarc.news.example", "TXT"): ("v=DMARC1; p=none",),
        ("_dmarc.relay.example", "TXT"): ("v=DMARC1; p=none",),
        ("s1._domainkey.news.example", "TXT"): (f"v=DKIM1; p={PUBLIC}",),
    }
)
COVERED = "from:to:subject:date:message-id:list-unsubscribe:list-unsubscribe-post"
LINES = {
    "Return-Path": "<bounce+d12.0123456789abcdef0123456789abcdef@news.example>",
    "Authentication-Results": "mx.example; dkim=pass header.d=news.example;\r\n spf=pass (good)"
    " smtp.mailfrom=news.example; dmarc=pass",
    "DKIM-Signature": f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=news.example; s=s1;\r\n h={COVERED};\r\n"
    " bh=abc=; b=def=",
    "From": "The Daily <daily@news.example>",
    "To": "me@example.com",
    "Subject": "News",
    "Date": "Sat, 28 Nov 2026 07:00:00 +0000",
    "Message-ID": "<d12.0123456789abcdef0123456789abcdef@news.example>",
    "List-Unsubscribe": "<https://news.example/unsubscribe/x>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "X-Mailer-Digest": "3",
    "X-Mailer-Delivery": "12",
}  # fmt: skip


def mail(**changes: str | None) -> bytes:
    named = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    lines = {name: named.get(name.lower(), value) for name, value in LINES.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{head}\r\nText\r\n".encode()


def judged(raw: bytes, bounce_domain: str | None = "news.example") -> dict[str, str]:
    found = judge_received_mail(raw, DNS, bounce_domain=bounce_domain)
    return {finding.what: str(finding.severity) for finding in found}


def test_a_perfect_mail_has_only_findings_that_are_fine() -> None:
    found = judged(mail())
    assert set(found.values()) == {"ok"}
    assert any("nothing on the way" in what for what in found)


SIGNATURE = LINES["DKIM-Signature"]
BROKEN = [
    ({"List_Unsubscribe_Post": None}, "problem", "is missing"),
    ({"List_Unsubscribe": None, "List_Unsubscribe_Post": None, "X_Mailer_Digest": None}, "warning",
     "this is no digest"),
    ({"DKIM_Signature": None}, "problem", "no DKIM signature"),
    ({"DKIM_Signature": SIGNATURE.replace("d=news.example", "d=relay.example")}, "problem", "not aligned"),
    ({"DKIM_Signature": SIGNATURE.replace(":list-unsubscribe-post", "")}, "problem",
     "does not cover list-unsubscribe-post"),
    ({"DKIM_Signature": SIGNATURE.replace("subject:", "")}, "problem", "does not cover subject"),
    ({"DKIM_Signature": SIGNATURE.replace("bh=", "l=10; bh=")}, "problem", "only the beginning"),
    ({"DKIM_Signature": SIGNATURE.replace("sha256", "sha1")}, "problem", "sha1"),
    ({"DKIM_Signature": SIGNATURE.replace("s=s1", "s=s2")}, "problem", "not in DNS"),
    ({"Authentication_Results": None}, "warning", "says nothing"),
    ({"Authentication_Results": "mx; spf=softfail smtp.mailfrom=x; dkim=pass; dmarc=pass"}, "problem",
     "SPF did not pass"),
    ({"Authentication_Results": "mx; spf=pass; dkim=fail; dmarc=fail (p=none)"}, "problem", "DMARC did not"),
    ({"Authentication_Results": "mx; spf=temperror; dkim=pass; dmarc=pass"}, "warning", "temperror"),
    ({"Return_Path": "<x@relay.example>"}, "warning", "returned mails go to relay.example"),
    ({"Message_ID": "<0101@eu-west-1.relay.example>"}, "warning", "replaced our Message-ID"),
    ({"From": None}, "problem", "no mail with one From"),
    ({"From": "a@news.example\r\nFrom: b@x.example"}, "problem", "no mail with one From"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "severity", "words"), BROKEN)
def test_each_fault_is_found(changes: dict[str, str | None], severity: str, words: str) -> None:
    found = judged(mail(**changes))
    hits = [what for what, level in found.items() if words in what and level == severity]
    assert hits, found
    worst = {level for level in found.values() if level == "problem"}
    assert worst == ({"problem"} if severity == "problem" else set())


def test_only_the_uppermost_results_count() -> None:
    forged = "mx.example; spf=fail; dkim=fail; dmarc=fail\r\nAuthentication-Results: x; spf=pass; dkim=pass"
    found = judged(mail(Authentication_Results=forged))
    assert "problem" in found.values()


def test_one_good_signature_is_enough() -> None:
    second = SIGNATURE.replace("d=news.example", "d=relay.example")
    found = judged(mail(DKIM_Signature=f"{second}\r\nDKIM-Signature: {SIGNATURE}"))
    assert set(found.values()) == {"ok"}


def test_without_bounce_address_the_return_path_is_the_relays_affair() -> None:
    assert set(judged(mail(Return_Path="<x@relay.example>"), None).values()) == {"ok"}


def test_a_provider_that_reports_may_replace_what_names_the_mail() -> None:
    raw = mail(Return_Path="<x@relay.example>", Message_ID="<1@relay.example>")
    found = judge_received_mail(raw, DNS, bounce_domain="news.example", has_webhooks=True)
    assert {finding.severity for finding in found} == {"ok"}


@given(st.binary(max_size=400))
def test_no_bytes_break_the_judgement(data: bytes) -> None:
    for raw in (data, b"DKIM-Signature: " + data, b"From: " + data, mail() + data):
        for finding in judge_received_mail(raw, DNS, bounce_domain="news.example"):
            assert finding.what.isprintable()
