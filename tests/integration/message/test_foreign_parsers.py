"""Our mails as others read them: Python's parser and Perl's Email::MIME find what was put in."""

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.errors import BadMessage
from mailer.lint import judge
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.header_lines import printable
from mailer.message.headers import digest_headers, reader_headers
from mailer.message.reader_fields import ReaderField, field_word

pytestmark = pytest.mark.needs_perl

SCRIPT = Path(__file__).with_name("parse.pl")
GOOD = Path(__file__).parents[2] / "data" / "mail" / "good"
MARKER = "QJ4ZT2MNBX7PLKA5"
ADDRESS = "news@courier.example"
READER = "reader@example.com"
SAMPLES = {
    "hy": (
        "Նավահանգիստ",
        "Լաստանավը տասը օր չի աշխատի՞",
        "Բարև, Արամ",
        "Առավոտյան լաստանավը չի անցնի։",
    ),
    "ru": (
        "Курьер",
        "Паром не будет ходить десять дней",
        "Здравствуйте, Анна",
        "С понедельника — автобус.",
    ),
    "fr": (
        "Le Courrier",
        "Dix jours sans bac : l’hiver",
        "Bonjour, Zoë",
        "À partir de lundi, plus de bac.",
    ),
    "ar": (
        "بريد الميناء",
        "العبّارة تتوقف عشرة أيام",
        "صباح الخير يا ليلى",
        "تتوقف العبّارة عبر الخليج.",
    ),
}
LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.sampled_from(
    ' ԱաՙсЖéœشم😀=?_"\\,;<>@.'
)
URLS = st.builds(
    lambda path, length: "https://courier.example/" + (path * 2000)[:length],
    st.text(st.sampled_from("abcXYZ019-._~%/?#=&;,+'()"), min_size=1, max_size=40),
    st.integers(0, 1976),
)


def mail(name: str, subject: str, greeting: str, summary: str, url: str) -> bytes:
    leave = "https://news.courier.example/unsubscribe/AbC"
    greeting_word = field_word(MARKER, ReaderField.GREETING)
    leave_word = field_word(MARKER, ReaderField.UNSUBSCRIBE)
    content = Content(
        language="hy",
        from_name=name,
        from_address=ADDRESS,
        reply_to=None,
        subject=subject,
        html=f"<p>{greeting_word}</p><p>{summary}</p><a href='{leave_word}'>x</a>",
        text=f"{greeting_word}\n\n{summary}\n{url}\n{leave_word}\n",
        marker=MARKER,
    )
    fixed = digest_headers(
        digest_id=7,
        slug="daily",
        title=name,
        list_id="daily.courier.example",
        from_address=ADDRESS,
        help_url="https://news.courier.example/preferences",
    )
    return compile_mail(content, fixed).render(
        to=READER,
        message_id="<d1.abc@courier.example>",
        date=datetime(2026, 11, 24, 6, 0, tzinfo=UTC),
        headers=reader_headers(delivery_id=1, unsubscribe_url=leave),
        fields={ReaderField.GREETING: greeting, ReaderField.UNSUBSCRIBE: leave},
    )


def in_perl(mails: Sequence[bytes]) -> list[dict[str, object]]:
    """What Perl's parser finds: names and addresses, types and bodies come as pairs."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(mails))]
        for path, raw in zip(paths, mails, strict=True):
            path.write_bytes(raw)
        done = subprocess.run(["perl", SCRIPT, *paths], capture_output=True, check=True)
    assert done.stderr == b""
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def in_python(raw: bytes) -> dict[str, object]:
    """The same as `in_perl`, of Python's parser."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return {
        "subject": message["Subject"],
        "leave": message["List-Unsubscribe"],
        "from": _pairs(message["From"]),
        "to": _pairs(message["To"]),
        "bodies": [[part.get_content_type(), part.get_content()] for part in message.iter_parts()],
    }


def _pairs(header: AddressHeader) -> list[list[str]]:
    return [[found.display_name, found.addr_spec] for found in header.addresses]


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_both_parsers_read_what_was_written(language: str) -> None:
    name, subject, greeting, summary = SAMPLES[language]
    url = "https://courier.example/" + "u" * 1976
    raw = mail(name, subject, greeting, summary, url)
    assert judge(raw) == ()
    leave = "https://news.courier.example/unsubscribe/AbC"
    expected = {
        "subject": subject,
        "from": [[name, ADDRESS]],
        "to": [["", READER]],
        "leave": f"<{leave}>",
        "bodies": [
            ["text/plain", f"{greeting}\r\n\r\n{summary}\r\n{url}\r\n{leave}\r\n"],
            ["text/html", f"<p>{greeting}</p><p>{summary}</p><a href='{leave}'>x</a>\r\n"],
        ],
    }
    assert in_perl([raw]) == [expected]
    assert in_python(raw) == expected


def test_both_parsers_agree_on_the_good_samples() -> None:
    raw = [path.read_bytes() for path in sorted(GOOD.glob("*.eml"))]
    assert len(raw) == 9
    assert [in_python(one) for one in raw] == in_perl(raw)


# Each example is many mails, because starting Perl is what takes the time.
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.text(LETTERS, max_size=12).map(lambda name: f"A{name}z".replace("@", "")),
            st.text(LETTERS, max_size=120).map(lambda subject: f"S{subject}z"),
            st.text(LETTERS, max_size=30),
            URLS,
        ),
        min_size=20,
        max_size=20,
    )
)
def test_both_parsers_read_whatever_was_written(drawn: list[tuple[str, str, str, str]]) -> None:
    mails, meant = [], []
    for name, subject, greeting, url in drawn:
        try:
            mails.append(mail(name, subject, greeting, "Summary", url))
        except BadMessage:
            # A pictograph in a sender's name.
            continue
        meant.append((printable(name), printable(subject), printable(greeting), url))
    for raw, theirs, (name, subject, greeting, url) in zip(
        mails, in_perl(mails), meant, strict=True
    ):
        assert in_python(raw) == theirs
        assert theirs["subject"] == subject
        assert theirs["from"] == [[name, ADDRESS]]
        [[_, text], _] = theirs["bodies"]  # type: ignore[misc]
        assert text.startswith(f"{greeting}\r\n\r\nSummary\r\n{url}\r\n")
