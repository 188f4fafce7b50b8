"""The two encodings: what is joined from segments decodes to what was meant, in lines that fit."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.message.transfer_encoding import (
    Base64,
    QuotedPrintable,
    base64_lines,
    body_text,
    encode_body,
    quoted_printable,
)
from tests.support.dkim_reference import relaxed_body

TEXTS = st.text(
    st.sampled_from("abc =.?Fromէ՜ՍԵشу\u00e9😀\t~\n")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=200,
)
ONE_LINES = TEXTS.map(lambda text: text.replace("\n", " "))


def check_lines(encoded: bytes) -> None:
    assert encoded.endswith(b"\r\n")
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert line.isascii()
        assert b"\r" not in line
        assert b"\n" not in line
    assert relaxed_body(encoded + b"--\r\n") == encoded + b"--\r\n"


@given(TEXTS)
def test_quoted_printable_decodes_to_the_same(text: str) -> None:
    data = body_text(text).encode()
    encoded = quoted_printable(data)
    check_lines(encoded)
    assert quopri.decodestring(encoded) == data
    for line in encoded.split(b"\r\n"):
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"plain", b"plain"),
        (b"1 = 1", b"1 =3D 1"),
        (b".", b"=2E"),
        (b"..\r\n.a\r\nb.", b"=2E.\r\n=2Ea\r\nb."),
        (b"From me\r\nFrom\r\nxFrom me", b"=46rom me\r\nFrom\r\nxFrom me"),
        (b"blank \r\ntab\t\r\n", b"blank=20\r\ntab=09\r\n"),
        (b"   a  b\tc  \r\n", b" =20=20a =20b=09c =20\r\n"),
        (b"  ", b" =20"),
        (b"a" * 74 + b"  b", b"a" * 74 + b" =\r\n=20b"),
        (b"a" * 75, b"a" * 75),
        (b"a" * 76, b"a" * 75 + b"=\r\na"),
        (b"a" * 73 + b"==", b"a" * 73 + b"=\r\n=3D=3D"),
        (b"a" * 74 + b"==", b"a" * 74 + b"=\r\n=3D=3D"),
        (b"a" * 75 + b".b", b"a" * 75 + b"=\r\n=2Eb"),
        (b"a" * 75 + b" ", b"a" * 75 + b"=\r\n=20"),
    ],
)
def test_quoted_printable_lines(data: bytes, encoded: bytes) -> None:
    assert quoted_printable(data) == encoded


def test_base64_lines_are_of_76() -> None:
    encoded = base64_lines(bytes(58))
    assert encoded == b"A" * 76 + b"\r\nAA==\r\n"
    assert base64_lines(b"") == b""


@given(st.lists(st.tuples(TEXTS, ONE_LINES)), TEXTS)
def test_joined_segments_decode_to_what_one_go_gives(
    pairs: list[tuple[str, str]], end: str
) -> None:
    segments = [text.replace("\n", "\r\n").encode() for text, _ in pairs] + [
        body_text(end).encode()
    ]
    values = [value.encode() for _, value in pairs]
    whole = b"".join(part for pair in zip(segments, [*values, b""], strict=True) for part in pair)
    quoted = b"".join(QuotedPrintable.of(segments).chunks(values))
    packed = b"".join(Base64.of(segments).chunks(values))
    check_lines(quoted)
    check_lines(packed)
    assert quopri.decodestring(quoted) == quopri.decodestring(quoted_printable(whole)) == whole
    assert base64.b64decode(packed) == base64.b64decode(base64_lines(whole)) == whole
    for line in quoted.split(b"\r\n"):
        assert not line.startswith(b".")


@pytest.mark.parametrize(
    ("segments", "values", "joined"),
    [
        ((b"a", b"b\r\n"), (b"x",), b"a=\r\nx=\r\nb\r\n"),
        ((b"a\r\n", b"\r\nb\r\n"), (b"x",), b"a\r\nx\r\nb\r\n"),
        ((b"", b"b\r\n"), (b"x",), b"x=\r\nb\r\n"),
        ((b"a", b"b\r\n"), (b"",), b"a=\r\nb\r\n"),
        ((b"", b"", b"\r\n"), (b"x", b"."), b"x=\r\n=2E\r\n"),
        ((b"a ", b"\r\n"), (b"x ",), b"a=20=\r\nx=20\r\n"),
        ((b"a", b"b\r\n"), (b"x  y",), b"a=\r\nx =20y=\r\nb\r\n"),
    ],
)
def test_soft_breaks_keep_values_apart_only_where_no_line_ends(
    segments: tuple[bytes, ...], values: tuple[bytes, ...], joined: bytes
) -> None:
    assert b"".join(QuotedPrintable.of(segments).chunks(values)) == joined


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("The ferry will not run from Monday.\n" * 9, "quoted-printable"),
        ("Le bac ne traverse plus la baie, à partir de lundi.\n" * 9, "quoted-printable"),
        ("Паром через залив не ходит.\n" * 9, "base64"),
        ("Լաստանավը տասը օր չի աշխատի։\n" * 9, "base64"),
    ],
)
def test_the_smaller_encoding_is_taken(text: str, encoding: str) -> None:
    data = body_text(text).encode()
    body = encode_body([data])
    assert body.encoding == encoding
    assert len(b"".join(body.chunks([]))) == min(
        len(quoted_printable(data)), len(base64_lines(data))
    )


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("", "\r\n"),
        ("a", "a\r\n"),
        ("a\nb\rc\r\nd\n", "a\r\nb\r\nc\r\nd\r\n"),
        ("a\0b\x0bc\x85d\x7f\ud800e\tf", "abcde\tf\r\n"),
    ],
)
def test_a_body_has_crlf_and_no_control_characters(text: str, body: str) -> None:
    assert body_text(text) == body
