"""Signatures, judged by a plain reading of RFC 6376 and by dkimpy; and what the keys may be."""

import hashlib
import re
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.errors import SettingsError
from mailer.message.compose import compile_mail
from mailer.message.dkim import DkimSigner, is_covered
from mailer.message.dkim_keys import KeyType, read_key, txt_strings
from mailer.message.header_lines import wire_address
from mailer.message.headers import digest_headers, notice_headers, reader_headers
from mailer.message.reader_fields import ReaderField
from mailer.settings.key_files import new_key
from tests.support.dkim_reference import DOMAIN, relaxed_body, relaxed_header, signing_key
from tests.unit.message.test_compose import (
    CONTENT,
    DATE,
    FIELD_VALUES,
    GREETING,
    PIECES,
    UNSUBSCRIBE,
    VALUES,
    rendered,
)

RSA, ED25519 = signing_key(KeyType.RSA), signing_key(KeyType.ED25519)
SIGNER = DkimSigner(DOMAIN, [RSA, ED25519])
RECORDS = {
    f"{key.selector}._domainkey.{DOMAIN}.".encode(): key.record.encode() for key in (RSA, ED25519)
}
FIXED = digest_headers(
    digest_id=7,
    slug="daily",
    title="Գյումրու օրաթերթ և շաբաթաթերթ",
    list_id="daily.courier.example",
    from_address=CONTENT.from_address,
    help_url="https://news.courier.example/preferences",
)
READERS = reader_headers(
    delivery_id=9, unsubscribe_url="https://news.courier.example/unsubscribe/" + "u" * 70
)
MAIL = rendered(compile_mail(CONTENT, FIXED), headers=READERS)
NOTICE = rendered(compile_mail(CONTENT, notice_headers()))


def sign(mail: bytes) -> bytes:
    return SIGNER.sign(mail, at=DATE)


def fields(mail: bytes) -> list[bytes]:
    return re.findall(
        rb"(?:(?!\r\n(?![ \t])).)*\r\n", mail.partition(b"\r\n\r\n")[0] + b"\r\n", re.DOTALL
    )


def tags(field: bytes) -> dict[str, str]:
    value = re.sub(r"\s+", "", field.decode().partition(":")[2])
    return dict(tag.split("=", 1) for tag in value.split(";"))


def check(mail: bytes, place: int) -> None:
    """Verify the signature at this place as RFC 6376 section 6.1.3 tells."""
    own = fields(mail)
    signature = own[place]
    said = tags(signature)
    body = mail.partition(b"\r\n\r\n")[2]
    assert b64decode(said["bh"]) == hashlib.sha256(relaxed_body(body)).digest()
    others, signed = own[:place] + own[place + 1 :], b""
    for name in said["h"].split(":"):
        places = [
            at for at, one in enumerate(others) if one.lower().startswith(f"{name}:".encode())
        ]
        if places:
            signed += relaxed_header(others.pop(places[-1]))
    bare = re.sub(rb"(;\s*b=)[^;]*$", rb"\1", signature)
    signed += relaxed_header(bare).removesuffix(b"\r\n")
    record = RECORDS[f"{said['s']}._domainkey.{said['d']}.".encode()]
    public = b64decode(record.partition(b"p=")[2])
    if said["a"] == "rsa-sha256":
        key = load_der_public_key(public)
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(b64decode(said["b"]), signed, padding.PKCS1v15(), SHA256())
    else:
        bare_key = ed25519.Ed25519PublicKey.from_public_bytes(public)
        bare_key.verify(b64decode(said["b"]), hashlib.sha256(signed).digest())


def verified(mail: bytes) -> list[bool]:
    """What dkimpy says of the two signatures."""

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return RECORDS[name]

    verdicts = []
    for place in (0, 1):
        try:
            verdicts.append(dkim.DKIM(mail).verify(idx=place, dnsfunc=look_up))
        except dkim.ValidationError:
            verdicts.append(False)
    return verdicts


BLANKS = st.lists(
    st.sampled_from(
        ["a", "word ", " ", "  ", "\t", " \t ", "\n", "=", ".", f"<p  id>{GREETING}</p>"]
    )
    | st.sampled_from([GREETING, UNSUBSCRIBE]),
    max_size=40,
).map("".join)
"""Texts that become quoted-printable, with blanks in all places."""


@settings(max_examples=300)
@given(PIECES | BLANKS, PIECES | BLANKS, FIELD_VALUES)
def test_any_mail_that_is_joined_has_the_signature_of_the_whole(
    text: str, page: str, values: dict[ReaderField, str]
) -> None:
    content = replace(
        CONTENT, subject=CONTENT.subject + " \u0561" * len(text), text=text, html=page
    )
    compiled = compile_mail(content, FIXED)
    signed = sign(rendered(compiled, headers=READERS, fields=values))
    check(signed, 0)
    check(signed, 1)


@pytest.mark.parametrize("mail", [MAIL, NOTICE], ids=["digest", "notice"])
def test_dkimpy_verifies_both_signatures(mail: bytes) -> None:
    signed = sign(mail)
    assert signed.endswith(b"\r\n" + mail)
    assert verified(signed) == [True, True]
    assert signed == sign(mail)


def test_an_address_that_is_not_ascii_is_signed_as_it_stands() -> None:
    mail = rendered(compile_mail(CONTENT), to=wire_address("արամ@example.com", utf8=True))
    assert verified(sign(mail)) == [True, True]


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"charset=utf-8", b"charset=utf-7"),
        (b"From: ", b"From: Mallory <m@mallory.example>\r\nFrom: "),
        (b"\nTo: ", b"\nTo: m@mallory.example\r\nTo: "),
        (b"Subject: ", b"Subject: Win\r\nSubject: "),
        (b"Date: ", b"Cc: m@mallory.example\r\nDate: "),
        (b"Reply-To: desk", b"Reply-To: m"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b""),
        (b"List-Unsubscribe-Post: ", b"List-Unsubscribe-Post: x\r\nList-Unsubscribe-Post: "),
        (b"List-Unsubscribe: ", b"List-Unsubscribe: <https://m.example>\r\nList-Unsubscribe: "),
        (b"Content-Type: multipart", b"Content-Type: text/html\r\nContent-Type: multipart"),
        (b"Message-ID: <d1", b"Message-ID: <d2"),
        (b"Feedback-ID: 7", b"Feedback-ID: 8"),
        (b"t=17", b"t=16"),
    ],
)
def test_a_change_breaks_both_signatures(before: bytes, behind: bytes) -> None:
    signed = sign(MAIL)
    changed = signed.replace(before, behind, -1 if before == b"t=17" else 1)
    assert changed != signed
    assert verified(changed) == [False, False]


def test_a_reply_to_cannot_be_added() -> None:
    signed = sign(rendered(compile_mail(replace(CONTENT, reply_to=None), FIXED), headers=READERS))
    assert verified(signed) == [True, True]
    changed = signed.replace(b"From: ", b"Reply-To: m@mallory.example\r\nFrom: ", 1)
    assert verified(changed) == [False, False]


@pytest.mark.parametrize(
    "header", [b"X-PM-Tag: a", b"X-SES-Message-Tags: a=b", b"Feedback-ID: 1:relay", b"Received: x"]
)
def test_a_relay_may_add_and_remove_its_own_headers(header: bytes) -> None:
    signed = sign(MAIL.replace(b"\nTo: ", b"\nX-Mailgun-Variables: {}\r\nTo: ", 1))
    passed_on = header + b"\r\n" + signed.replace(b"X-Mailgun-Variables: {}\r\n", b"")
    assert len(passed_on) < len(signed) + len(header)
    assert verified(passed_on) == [True, True]


def test_the_signature_says_what_it_covers_in_short_lines() -> None:
    domain = ".".join(["a-long-label-of-a-domain"] * 4 + [DOMAIN])
    signer = DkimSigner(domain, [replace(RSA, selector="s" * 60)])
    content = replace(CONTENT, from_address=f"news@{domain}")
    mail = signer.sign(rendered(compile_mail(content, FIXED), headers=READERS), at=DATE)
    signature = fields(mail)[0]
    assert all(len(line) <= 78 for line in signature.split(b"\r\n") if b" d=" not in line)
    said = tags(signature)
    assert {name: said[name] for name in ("v", "a", "c", "d", "t")} == {
        "v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": domain,
        "t": str(int(DATE.timestamp())),
    }  # fmt: skip
    assert said.keys().isdisjoint({"l", "x", "i", "z"})
    for name in ("list-unsubscribe", "list-unsubscribe-post", "list-id", "from", "to", "subject"):
        assert said["h"].split(":").count(name) == 2
    for name in ("feedback-id", "list-help", "cc"):
        assert said["h"].split(":").count(name) == 1


def test_another_time_is_another_signature() -> None:
    assert SIGNER.sign(MAIL, at=DATE + timedelta(seconds=1)) != sign(MAIL)


@pytest.mark.parametrize(
    ("address", "covered"),
    [
        ("news@courier.example", True),
        ("news@Letters.Courier.Example", True),
        ("news@notcourier.example", False),
        ("news@example", False),
        ("news@courier.example.org", False),
    ],
)
def test_only_mails_from_the_domain_or_below_it_are_signed(address: str, covered: bool) -> None:
    mail = MAIL.replace(b"<news@courier.example>", f"<{address}>".encode())
    assert (sign(mail) != mail) == covered
    if address != "news@example":
        assert is_covered(address, DOMAIN) == covered


def test_a_domain_of_other_letters_is_compared_as_a_labels() -> None:
    assert is_covered("news@թերթ.example", "xn--z9a1ds0a.example") == (
        "թերթ".encode("idna") == b"xn--z9a1ds0a"
    )
    assert is_covered("news@թերթ.example", f"{'թերթ'.encode('idna').decode()}.example")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


LONG = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a private key in PEM"),
        (b"\0\xff" * 99, "is not a private key in PEM"),
        (new_key(KeyType.RSA)[:900], "is not a private key in PEM"),
        (
            LONG.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "is not a private key in PEM",
        ),
        (pem(LONG, b"secret"), "is encrypted; decrypt it with `openssl pkey`"),
        (pem(rsa.generate_private_key(65537, 1024)), "has 1024 bits, and receivers accept 2048"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is neither RSA nor Ed25519"),
    ],
)
def test_a_key_that_receivers_do_not_accept_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"dkim_key: old.pem {reason}.*mailer dkim new"):
        read_key(content, "old", "old.pem")


def test_a_key_in_the_older_form_of_openssl_is_read() -> None:
    older = LONG.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert read_key(older, "s", "x").record == read_key(pem(LONG), "s", "x").record


def test_a_record_is_cut_into_strings_that_fit() -> None:
    strings = txt_strings(RSA.record)
    assert "".join(strings) == RSA.record
    assert [len(one) for one in strings] == [255, len(RSA.record) - 255]
    assert txt_strings(ED25519.record) == [ED25519.record]
    assert re.fullmatch("v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", ED25519.record)


def test_values_are_what_the_mails_above_need() -> None:
    assert VALUES.keys() == compile_mail(CONTENT).fields
