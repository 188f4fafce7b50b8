"""Signed mails of all kinds and languages, as the composer makes them, judged by opendkim and by dkimpy."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import dkim
import pytest

from mailer.ledger.transitions import Addressee, Claim, RowId
from mailer.lint import judge
from mailer.message.content import Content
from mailer.message.dkim import DkimSigner
from mailer.message.dkim_keys import KeyType
from mailer.message.headers import digest_headers, notice_headers
from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.message.provider_reference import REFERENCE_HEADERS, ReferenceLines
from mailer.message.reader_fields import ReaderField
from mailer.message.return_address import BounceAddress
from mailer.models import Delivery, Edition, Notice
from mailer.notices.notice import render_notice
from mailer.sending.compiled_content import CompiledContent, compile_content
from mailer.sending.composer import Composer, OutgoingMail
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support.all_mails import LANGUAGES, digests, paper
from tests.support.dkim_reference import signing_key
from tests.support.sample_mails import NOTICES, always

DOMAIN: Final = "gazette.example"
DATE: Final = datetime(2026, 11, 24, 6, tzinfo=UTC)
NUMBER: Final = 1000
RECORDS: Final = {
    f"{key.selector}._domainkey.{DOMAIN}": key.record
    for key in (signing_key(KeyType.RSA), signing_key(KeyType.ED25519))
}
NAMES: Final = (
    *(None, "Anna", "Անի Պետրոսյան", "O'Brien & Söhne <b>", "ليلى", "Two  Blanks\tTab"),
    "A name that is so long that it does not fit on one line of a mail, for it goes on and on",
)
ADDRESSES: Final = (
    *(
        "anna@reader.example",
        "արամ@reader.example",
        "anna@թերթ.example",
        "Anna.O'Brien+x@R.example",
    ),
    f"{'a' * 64}@{'b' * 60}.example",
)
BASE_URLS: Final = ("https://mail.gazette.example", f"https://mail.gazette.example/{'news/' * 50}x")
OPTIONS: Final = MailOptions(
    bounce_address=BounceAddress("bounce", "bounces.gazette.example"),
    reference_lines=ReferenceLines(REFERENCE_HEADERS),
    extra_headers=(("X-PM-Message-Stream", "broadcast"),),
    extra_headers_notice=(("X-PM-Message-Stream", "outbound"),),
)
"""What half of the mails are composed with, so that their List-Unsubscribe is folded."""
HARD_TEXT: Final = (
    "From here\n.\n..two dots\n    four blanks\tand a tab \t \nA line of "
    + "2000 letters " * 160
    + "\n\n\n  \n= =20 =\n"
)


def contents(language: str) -> Iterator[tuple[str, Content, bool]]:
    """The contents of digests, letters and notices, and whether each is a digest's."""
    for name, content in digests(language):
        yield name, content, True
        if name == "bare digest":
            text, page = content.text + HARD_TEXT, content.html + HARD_TEXT
            yield "hard digest", replace(content, text=text, html=page), True
            yield "with an answer address", replace(content, reply_to="desk@other.example"), True
            subject = f"{content.subject}  {'long ' * 60}\t{content.marker}GREETINGZ"
            yield "long subject", replace(content, subject=subject), True
    for kind, context in NOTICES.items():
        yield (
            kind,
            render_notice(Templates(), kind, paper(language), language, context, always("n")),
            False,
        )


@cache
def compiled(language: str) -> tuple[tuple[CompiledContent, bool], ...]:
    """Each of these contents, ready to be composed."""
    made = []
    for name, content, is_digest in contents(language):
        title = content.from_name * (3 if "long" in name else 1)

        def headers(title: str = title, is_digest: bool = is_digest, name: str = name) -> object:
            if not is_digest:
                return notice_headers(title=title, list_id="gazette.gazette.example")
            return digest_headers(
                digest_id=7,
                slug="gazette",
                title=title,
                list_id="gazette.gazette.example",
                from_address="news@gazette.example",
                help_url="https://mail.gazette.example/preferences",
                automatic=name != "letter",
            )

        row = Edition(**asdict(content))
        made.append((compile_content(row, headers, OPTIONS), is_digest))  # type: ignore[arg-type]
    return tuple(made)


def signed_mails(number: int) -> list[bytes]:
    """So many mails: every content in every language in turn, to all kinds of readers."""
    signer = DkimSigner(DOMAIN, [signing_key(KeyType.RSA), signing_key(KeyType.ED25519)])
    keys = Keys((b"s" * 40,), b"i" * 40)
    composers = [
        Composer(keys, url, Templates(), options=options, dkim_signer=signer)
        for url, options in zip(BASE_URLS, (NO_OPTIONS, OPTIONS), strict=True)
    ]
    mails = []
    for row in range(number):
        among = compiled(LANGUAGES[row % len(LANGUAGES)])
        content, is_digest = among[row // len(LANGUAGES) % len(among)]
        name, address = NAMES[row % len(NAMES)], ADDRESSES[row // 3 % len(ADDRESSES)]
        at = DATE + timedelta(seconds=row)
        addressee = Addressee(1, at, address, name, 2**60 + row) if is_digest else None
        table = Delivery if is_digest else Notice
        claim = Claim(RowId(table, row + 1), 1, 0, at, 0, 7, addressee)
        links = {
            field: (2**60 + row, None if field is ReaderField.UNSUBSCRIBE else at)
            for field in ReaderField
            if field is not ReaderField.GREETING
        }
        mail = OutgoingMail(claim, content, address, DATE, name, links)
        mails.append(composers[row // 2 % 2].compose(mail, utf8=True)[1])
    return mails


def opendkim(folder: Path, mails: list[bytes]) -> list[list[str]]:
    """What opendkim says of each signature of each mail: pass or fail."""
    program = shutil.which("opendkim", path=f"{os.defpath}:/usr/sbin")
    assert program is not None
    (folder / "keys").write_text("".join(f"{name} {text}\n" for name, text in RECORDS.items()))
    (folder / "conf").write_text("Mode v\nTestPublicKeys keys\nStrictTestMode yes\nSyslog no\n")
    for number, mail in enumerate(mails):
        (folder / f"{number}.eml").write_bytes(mail)
    names = ",".join(f"{number}.eml" for number in range(len(mails)))
    # Its exit status says nothing about the signatures.
    done = subprocess.run(
        [program, "-x", "conf", "-t", names, "-vv"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    results = re.findall(r"hname='Authentication-Results' hvalue='([^']*)'", done.stdout)
    assert len(results) == len(mails), done.stderr
    return [re.findall(r"dkim=(\w+)", result) for result in results]


def dkimpy(mail: bytes) -> list[str]:
    """What dkimpy says, in the same words."""

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return RECORDS[name.decode().rstrip(".")].encode()

    verdicts = []
    for place in (0, 1):
        try:
            is_valid = dkim.DKIM(mail).verify(idx=place, dnsfunc=look_up)
        except dkim.ValidationError:
            is_valid = False
        verdicts.append("pass" if is_valid else "fail")
    return verdicts


CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a changed byte": lambda mail: mail.replace(b"charset=utf-8", b"charset=utf-7", 1),
    "a second From": lambda mail: mail.replace(b"\nFrom: ", b"\nFrom: m@m.example\r\nFrom: ", 1),
    "no List-Unsubscribe-Post": lambda mail: mail.replace(
        b"\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b"\n"
    ),
    "another List-Unsubscribe": lambda mail: mail.replace(b"/unsubscribe/", b"/unsubscribed/", 1),
    "a line more at the end": lambda mail: mail + b"x\r\n",
}


@pytest.mark.thorough
def test_the_mails_are_of_every_kind() -> None:
    mails = signed_mails(NUMBER)
    text = b"".join(mails)
    assert len(mails) == len(set(mails)) == NUMBER
    for sign in (b"quoted-printable", b"base64", b"\r\nSubject: =?utf-8?", b"=20=20", b"\r\n=2E"):
        assert sign in text
    assert sum(b"\r\nList-Unsubscribe: " in mail for mail in mails) > NUMBER / 2
    assert sum(b"\r\nReply-To: " in mail for mail in mails) > 20
    assert sum(b"\r\n <mailto:" in mail for mail in mails) > 200
    assert sum(b"\r\nX-PM-Message-Stream: " in mail for mail in mails) > 200
    assert sum("արամ@".encode() in mail for mail in mails) > 100
    assert sum(b"\r\nAuto-Submitted: " not in mail for mail in mails) > 20


@pytest.mark.thorough
def test_the_same_row_gives_the_same_signatures_at_every_attempt() -> None:
    assert signed_mails(20) == signed_mails(20)


def test_some_mails_of_each_language_verify_by_dkimpy_and_pass_our_lint() -> None:
    for mail in signed_mails(60):
        assert dkimpy(mail) == ["pass", "pass"]
        assert b"To: \xd5" in mail or not judge(mail)


@pytest.mark.thorough
def test_a_thousand_mails_verify_by_dkimpy() -> None:
    verdicts = [dkimpy(mail) for mail in signed_mails(NUMBER)]
    assert verdicts == [["pass", "pass"]] * NUMBER


@pytest.mark.needs_opendkim
def test_a_thousand_mails_verify_by_opendkim(tmp_path: Path) -> None:
    assert opendkim(tmp_path, signed_mails(NUMBER)) == [["pass", "pass"]] * NUMBER


@pytest.mark.needs_opendkim
def test_opendkim_sees_every_change(tmp_path: Path) -> None:
    digest = next(mail for mail in signed_mails(9) if b"List-Unsubscribe-Post: " in mail)
    changed = [change(digest) for change in CHANGES.values()]
    assert digest not in changed
    assert opendkim(tmp_path, [digest, *changed]) == [
        ["pass", "pass"],
        *[["fail", "fail"]] * len(CHANGES),
    ]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_dkimpy_sees_every_change(change: Callable[[bytes], bytes]) -> None:
    digest = next(mail for mail in signed_mails(9) if b"List-Unsubscribe-Post: " in mail)
    assert change(digest) != digest
    assert dkimpy(change(digest)) == ["fail", "fail"]
