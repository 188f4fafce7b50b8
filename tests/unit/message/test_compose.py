"""Composed mails: their bytes, what is refused, and that joining gives what encoding in one go gives."""

import html
import quopri
import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import BadMessage
from mailer.lint import judge
from mailer.message.compose import SIMPLE, CompiledMail, compile_mail
from mailer.message.content import Content
from mailer.message.header_lines import printable
from mailer.message.reader_fields import ReaderField, field_word, split_text
from mailer.message.transfer_encoding import base64_lines, body_text, quoted_printable

MARKER = "QJ4ZT2MNBX7PLKA5"
GREETING = field_word(MARKER, ReaderField.GREETING)
UNSUBSCRIBE = field_word(MARKER, ReaderField.UNSUBSCRIBE)
PREFERENCES = field_word(MARKER, ReaderField.PREFERENCES)
DATE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
VALUES = {
    ReaderField.GREETING: 'Բարև, <Ani> & "Co"',
    ReaderField.UNSUBSCRIBE: "https://news.courier.example/unsubscribe/AbC",
}
CONTENT = Content(
    language="en",
    from_name="Harbour Courier",
    from_address="news@courier.example",
    reply_to="desk@courier.example",
    subject="Ferry to stop",
    html=f"<p>{GREETING}</p>\n<a href='{UNSUBSCRIBE}'>Leave</a>\n",
    text=f"{GREETING}\n\nLeave: {UNSUBSCRIBE}\n",
    marker=MARKER,
)
PIECES = st.lists(
    st.sampled_from(
        [GREETING, UNSUBSCRIBE, PREFERENCES, "\n", ".", " ", "=", "From ", "é", "Երևան", "ميناء"]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=90),
    max_size=20,
).map("".join)
FIELD_VALUES = st.fixed_dictionaries(
    {
        field: st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
        | st.integers(0, 2000).map(lambda length: "https://n.example/" + "u" * length)
        for field in ReaderField
    }
)


def rendered(compiled: CompiledMail, **changes: object) -> bytes:
    arguments = {
        "to": "reader@example.com",
        "message_id": "<d1.abc@courier.example>",
        "date": DATE,
        "fields": VALUES,
    }
    return compiled.render(**arguments | changes)  # type: ignore[arg-type]


def render(content: Content, **changes: object) -> bytes:
    return rendered(compile_mail(content), **changes)


def parse(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def bodies(raw: bytes) -> tuple[bytes, bytes]:
    text, page = parse(raw).iter_parts()
    return text.get_payload(decode=True), page.get_payload(decode=True)


def test_a_whole_mail() -> None:
    compiled = compile_mail(CONTENT, [("Precedence", "bulk")])
    raw = rendered(compiled, headers=b"X-Mailer-Delivery: 1\r\n")
    assert raw.decode("ascii").split("\r\n") == [
        "From: Harbour Courier <news@courier.example>",
        "Reply-To: desk@courier.example",
        "Precedence: bulk",
        "To: reader@example.com",
        "Subject: Ferry to stop",
        "Date: Tue, 24 Nov 2026 06:00:00 +0000",
        "Message-ID: <d1.abc@courier.example>",
        "X-Mailer-Delivery: 1",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="=_{MARKER}"',
        "",
        f"--=_{MARKER}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        '=D4=B2=D5=A1=D6=80=D6=87, <Ani> & "Co"',
        "",
        "Leave:=20=",
        "https://news.courier.example/unsubscribe/AbC",
        "",
        f"--=_{MARKER}",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "<p>=D4=B2=D5=A1=D6=80=D6=87, &lt;Ani&gt; &amp; &quot;Co&quot;</p>",
        "<a href=3D'=",
        "https://news.courier.example/unsubscribe/AbC=",
        "'>Leave</a>",
        "",
        f"--=_{MARKER}--",
        "",
    ]


def test_a_retry_is_the_same_mail_byte_for_byte() -> None:
    assert render(CONTENT) == render(CONTENT)


@given(text=PIECES, page=PIECES, values=FIELD_VALUES)
def test_joined_segments_say_what_one_go_says(
    text: str, page: str, values: dict[ReaderField, str]
) -> None:
    raw = render(replace(CONTENT, text=text, html=page), fields=values)
    shown = {field: printable(value) for field, value in values.items()}
    escaped = {field: html.escape(value) for field, value in shown.items()}
    whole_text = split_text(body_text(text), MARKER).fill(shown).encode()
    whole_page = split_text(body_text(page), MARKER).fill(escaped).encode()
    assert bodies(raw) == (
        quopri.decodestring(quoted_printable(whole_text)),
        b64decode(base64_lines(whole_page)),
    )
    assert bodies(raw) == (whole_text, whole_page)
    assert raw.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    # It goes out as it is: such a line would be taken for the end of the mail.
    assert b"\r\n." not in raw
    assert raw.endswith(b"\r\n")
    never = {"encoded-line", "encoding-broken", "mime-structure", "charset", "alternative"}
    assert not {problem.rule for problem in judge(raw)} & never


@given(FIELD_VALUES)
def test_a_subject_with_a_field_is_each_readers_own(values: dict[ReaderField, str]) -> None:
    content = replace(CONTENT, subject=f"News for you, {GREETING}", html="a", text="a")
    raw = render(content, fields=values)
    meant = printable(f"News for you, {printable(values[ReaderField.GREETING])}")
    assert parse(raw)["Subject"] == meant
    assert list(parse(raw).keys()) == list(parse(render(CONTENT)).keys())


def test_a_value_that_would_begin_a_header_is_mended() -> None:
    content = replace(CONTENT, subject=f"For {GREETING}", text="a")
    values = VALUES | {ReaderField.GREETING: "Ani\r\nBcc: other@example.com"}
    message = parse(render(content, fields=values))
    assert message["Subject"] == "For Ani Bcc: other@example.com"
    assert "Bcc" not in message


def test_the_fields_that_a_mail_needs_are_known() -> None:
    compiled = compile_mail(replace(CONTENT, subject=f"a {PREFERENCES}"))
    needed = {ReaderField.GREETING, ReaderField.UNSUBSCRIBE, ReaderField.PREFERENCES}
    assert compiled.fields == needed
    with pytest.raises(BadMessage, match="PREFERENCES"):
        rendered(compiled)


def test_values_that_a_mail_does_not_need_are_not_looked_at() -> None:
    content = replace(CONTENT, html="<p>Hello</p>", text="Hello")
    assert render(content, fields={ReaderField.CONFIRM: "x"}) == render(content, fields={})


def test_a_mail_may_do_without_reply_to() -> None:
    assert "Reply-To" not in parse(render(replace(CONTENT, reply_to=None)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"subject": ""}, "empty"),
        ({"subject": GREETING}, "empty"),
        ({"subject": "a\0b"}, "U\\+0000"),
        ({"subject": f"a {MARKER}"}, "filter"),
        ({"html": f"<p>{MARKER}x</p>"}, "filter"),
        ({"text": f"{MARKER.lower()}greetingz"}, "filter"),
        ({"from_name": "a\u2028b"}, "U\\+2028"),
        ({"from_name": "a@b"}, "@"),
        ({"from_address": "nobody"}, "address"),
        ({"from_address": "a@b.example\r\nBcc: c@d.example"}, "address"),
        ({"reply_to": "nobody"}, "address"),
    ],
)
def test_a_bad_content_is_refused_when_it_is_compiled(change: dict[str, str], says: str) -> None:
    with pytest.raises(BadMessage, match=says):
        compile_mail(replace(CONTENT, **change))


@pytest.mark.parametrize(
    "name",
    [
        *("Bcc", "cc", "TO", "From", "Subject", "Date", "Message-ID", "Reply-To", "Sender"),
        *("MIME-Version", "list-unsubscribe", "X-Mailer-Delivery"),
    ],
)
def test_no_caller_adds_what_is_made_here(name: str) -> None:
    with pytest.raises(BadMessage, match="once"):
        compile_mail(CONTENT, [(name, "a@b.example")])


def test_no_header_is_there_twice() -> None:
    with pytest.raises(BadMessage, match="once"):
        compile_mail(CONTENT, [("Precedence", "bulk"), ("precedence", "bulk")])


def test_a_local_part_that_is_not_ascii_stays() -> None:
    assert "To: արամ@example.com\r\n".encode() in render(CONTENT, to="արամ@example.com")


@given(st.text(max_size=20) | st.text("aA9_ -.,=?'é Բ\u00b2\u0300\u2028\x85", max_size=20))
def test_a_simple_value_is_the_same_everywhere(value: str) -> None:
    assert all(
        map(SIMPLE.fullmatch, ("", "Hello Ani Smith,", "Բարև Անի,", "https://n.example/a-_"))
    )
    if SIMPLE.fullmatch(value):
        assert value == printable(value) == html.escape(value)


def test_long_urls_and_titles_of_2000_characters() -> None:
    url = "https://courier.example/" + "u" * 1976
    title = "Նավահանգիստ " * 166
    content = replace(
        CONTENT,
        subject=title,
        html=f'<p>{title}</p><a href="{url}">{title}</a>',
        text=f"{title}\n{url}\n{UNSUBSCRIBE}",
    )
    raw = render(content, fields={ReaderField.UNSUBSCRIBE: url})
    message = parse(raw)
    assert message["Subject"] == title.strip()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert bodies(raw)[0].decode() == f"{title}\r\n{url}\r\n{url}\r\n"


@pytest.mark.parametrize("fault", ["\r\nBcc: x@y.example", "\0", "\u2028", "\n\nbody"])
def test_no_value_adds_a_header(fault: str) -> None:
    names = parse(render(CONTENT)).keys()
    for column in ("from_name", "from_address", "reply_to", "subject"):
        before = str(getattr(CONTENT, column))
        try:
            raw = render(replace(CONTENT, **{column: before[:3] + fault + before[3:]}))
        except BadMessage:
            continue
        assert parse(raw).keys() == names
