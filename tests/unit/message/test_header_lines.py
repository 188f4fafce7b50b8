"""Single header fields: encoding, folding, and what is refused."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import BadMessage, NeedsSmtputf8
from mailer.message import header_lines

LETTERS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from(' =?_.,;"\\<>(Գش')
).filter(lambda text: header_lines.one_line(text) != "")
CONTROLS = ["\0", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\x0b", "\x0c"]


def parsed(line: bytes, name: str) -> str:
    return str(message_from_bytes(line + b"\r\n", policy=policy.default)[name])


def check_line(line: bytes) -> None:
    assert line.endswith(b"\r\n")
    assert line.isascii()
    first, *more = line.removesuffix(b"\r\n").split(b"\r\n")
    assert b": " in first
    for part in (first, *more):
        limit = 76 if b"=?" in part else 78
        assert len(part) <= limit or len(part.split()) <= 2
    for part in more:
        assert part[:1] == b" "
        assert part.strip()
    for word in re.findall(rb"=\?utf-8\?.*?\?=", line):
        assert len(word) <= 75


def assert_refused(write: Callable[..., bytes], *arguments: str, **options: bool) -> None:
    with pytest.raises(BadMessage):
        write(*arguments, **options)


@given(LETTERS)
def test_a_subject_comes_back_as_it_was(text: str) -> None:
    line = header_lines.text_line("Subject", text)
    check_line(line)
    assert parsed(line, "Subject") == header_lines.one_line(text)


@pytest.mark.parametrize("letter", ["a", "é", "Ա", "ش", "😀", "x "])
def test_a_subject_of_2000_characters_folds(letter: str) -> None:
    text = (letter * 2000)[:2000].strip()
    line = header_lines.text_line("Subject", text)
    check_line(line)
    assert max(map(len, line.split(b"\r\n"))) <= 78
    assert parsed(line, "Subject") == text


@given(LETTERS.map(header_lines.one_line))
def test_a_name_comes_back_as_it_was(name: str) -> None:
    if header_lines.display_name_problem(name):
        with pytest.raises(BadMessage):
            header_lines.mailbox_line("From", name, "news@courier.example")
        return
    line = header_lines.mailbox_line("From", name, "news@courier.example")
    check_line(line)
    # `policy.default` of Python 3.11 puts a blank between two encoded-words of a name.
    shown, addr_spec = parseaddr(message_from_bytes(line + b"\r\n", policy=policy.compat32)["From"])
    assert (str(make_header(decode_header(shown))), addr_spec) == (name, "news@courier.example")


@pytest.mark.parametrize("text", ["=?utf-8?q?a?=", "What =?utf-8?b?YQ==?= is"])
def test_a_subject_that_looks_encoded_comes_back_as_it_was(text: str) -> None:
    assert parsed(header_lines.text_line("Subject", text), "Subject") == text


def test_a_line_is_filled_up_to_its_limit() -> None:
    exact = "Subject: " + "a" * 60 + " " + "b" * 8
    assert header_lines.folded(exact) == f"{exact}\r\n".encode()
    assert header_lines.folded(exact + "b").endswith(b"a\r\n bbbbbbbbb\r\n")
    with_word = "Subject: " + "a" * 53 + " =?utf-8?q?b?="
    assert header_lines.folded(with_word) == f"{with_word}\r\n".encode()
    assert header_lines.folded(with_word.replace("a", "aa", 1)).count(b"\r\n") == 2


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Harbour Courier", "Harbour Courier"),
        ("Harbour Courier, Saltmouth", '"Harbour Courier, Saltmouth"'),
        ('The "Courier" \\ Co.', '"The \\"Courier\\" \\\\ Co."'),
        ("Courier =?", "=?utf-8?q?Courier_=3D=3F?="),
        ("Le Café du port", "=?utf-8?q?Le_Caf=C3=A9_du_port?="),
        ("Курьер", "=?utf-8?b?0JrRg9GA0YzQtdGA?="),
    ],
)
def test_a_phrase_is_written_in_the_plainest_way(text: str, phrase: str) -> None:
    assert header_lines.phrase(text) == phrase


def test_a_long_name_is_encoded_so_that_it_can_be_folded() -> None:
    line = header_lines.mailbox_line("From", "Harbour " * 30, "news@courier.example")
    check_line(line)
    assert max(map(len, line.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("text", ["a\r\nBcc: x@y.example", "a\n\tb", "  a \t b  "])
def test_blanks_and_line_ends_collapse_into_one_header(text: str) -> None:
    line = header_lines.text_line("Subject", text)
    assert line.count(b"\r\n") == 1
    assert line == b"Subject: " + b" ".join(text.encode().split()) + b"\r\n"


@pytest.mark.parametrize("control", CONTROLS)
def test_control_characters_are_refused(control: str) -> None:
    with pytest.raises(BadMessage, match=r"U\+"):
        header_lines.text_line("Subject", f"a{control}b")
    assert_refused(header_lines.mailbox_line, "From", f"a{control}b", "news@courier.example")
    assert_refused(header_lines.structured_line, "List-Help", f"<https://a.example/{control}>")
    assert_refused(header_lines.structured_line, f"X{control}", "a")
    assert_refused(header_lines.wire_address, f"a{control}@b.example", utf8=True)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\nBcc: x@y.example"])
def test_line_ends_in_structured_headers_are_refused(end: str) -> None:
    assert_refused(header_lines.structured_line, "List-Help", f"<https://a.example/>{end}")
    assert_refused(header_lines.wire_address, f"a@b.example{end}x", utf8=True)
    assert_refused(header_lines.mailbox_line, "From", "Courier", f"news@courier.example{end}x")


@pytest.mark.parametrize("text", ["", "  ", "\r\n"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(BadMessage, match="empty"):
        header_lines.text_line("Subject", text)
    with pytest.raises(BadMessage, match="empty"):
        header_lines.phrase(text)


@pytest.mark.parametrize(
    ("name", "value"), [("", "a"), ("A B", "a"), ("A:", "a"), ("X", ""), ("X", "é")]
)
def test_a_structured_header_is_ascii_with_a_name(name: str, value: str) -> None:
    with pytest.raises(BadMessage):
        header_lines.structured_line(name, value)


def test_urls_are_folded_only_between_them() -> None:
    one, two = "<https://a.example/" + "u" * 200 + ">", "<mailto:" + "m" * 60 + "@a.example>"
    line = header_lines.structured_line("List-Unsubscribe", f"{one}, {two}")
    assert line == f"List-Unsubscribe: {one},\r\n {two}\r\n".encode()


def test_a_url_that_no_line_holds_is_refused() -> None:
    fits = "<" + "u" * (998 - len("X: <>")) + ">"
    assert header_lines.structured_line("X", fits).startswith(b"X: <")
    with pytest.raises(BadMessage, match="too long"):
        header_lines.structured_line("X", fits + "u")


@pytest.mark.parametrize(
    "name", ["news@courier.example", "Courier ⚓", "Courier ☺\ufe0f", "Courier 📰"]
)
def test_names_that_providers_distrust_are_refused(name: str) -> None:
    with pytest.raises(BadMessage, match="publication"):
        header_lines.mailbox_line("From", name, "news@courier.example")


@pytest.mark.parametrize("name", ["Courier™", "© Courier", "N° 1"])
def test_marks_in_names_are_no_pictographs(name: str) -> None:
    assert header_lines.display_name_problem(name) is None


def test_the_date_is_in_utc_and_says_so() -> None:
    local = datetime(2026, 11, 24, 10, 0, tzinfo=timezone(timedelta(hours=4)))
    assert header_lines.date_line(local) == b"Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
    assert header_lines.date_line(local.astimezone(UTC)) == header_lines.date_line(local)


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("a@b.example", "a@b.example"),
        ("A.b+c@B.example", "A.b+c@B.example"),
        ("a@localhost", "a@localhost"),
        ("a@երևան.example", "a@xn--y9aha3e3bn.example"),
        ("A@Müller.example", "A@xn--mller-kva.example"),
    ],
)
def test_the_domain_is_written_as_a_labels(address: str, wire: str) -> None:
    assert header_lines.wire_address(address) == wire


def test_a_local_part_that_is_not_ascii_needs_smtputf8_and_is_never_mangled() -> None:
    address = "արամ@երևան.example"
    with pytest.raises(NeedsSmtputf8):
        header_lines.wire_address(address)
    assert header_lines.wire_address(address, utf8=True) == "արամ@xn--y9aha3e3bn.example"


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b.example", "a@b@c.example", "a b@c.example", "a@-b.example"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadMessage, match="not a valid address"):
        header_lines.wire_address(address)


@pytest.mark.parametrize(
    ("value", "shown"), [("Ani\r\nBcc: x", "Ani Bcc: x"), ("\0", ""), ("a\u2028b\x07c", "a b c")]
)
def test_a_readers_own_value_is_mended(value: str, shown: str) -> None:
    assert header_lines.printable(value) == shown
