"""Which names of readers a mail may show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.text.reader_name import LONGEST, reader_name


@pytest.mark.parametrize(
    "name",
    [
        "Anna",
        "Anne-Marie O’Neill",
        "J. R. Smith",
        "J.R.R. Tolkien",
        "Dr. Ada King, Jr.",
        "Jean-P. Müller (Jojo)",
        "Anna & Ilya",
        "Анна Каренина",
        "Անահիտ",
        "أحمد بن علي",
        "علی\u200cرضا",
        "राम कृष्ण",
        "李小龍",
        "マイケル・ジャクソン",
        "x" * LONGEST,
    ],
)
def test_names_of_people_pass_as_they_are(name: str) -> None:
    assert reader_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Anna \t Bell\u00a0\n", "Anna Bell"),
        ("\u202eAnna\u202c \u2066Bell\u2069\u200f", "Anna Bell"),
        ("An\u00adna\u200b", "Anna"),
        ("Jose\u0301", "José"),
    ],
)
def test_blanks_and_what_nobody_sees_are_left_out(text: str, name: str) -> None:
    assert reader_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " \u200b ",
        "-.-",
        "x" * (LONGEST + 1),
        "x" * 1_000_000,
        "your account is locked: https://evil.example/login or call 555-0100",
        "evil.example",
        "win at evil.example now",
        "EVIL.C\u200dO\u00adM",
        "evil\u2024example",
        "evil\uff0eexample",
        "evil\u3002example",
        "evil.㏇",
        "evil.рф",
        "t.co",
        "me@evil",
        "me＠evil",
        "evil/login",
        "evil：8080",
        "call five5",
        "call ⑤",
        "call ٥٥٥",
        "Anna\nBell",
        "Anna\u2028Bell",
        "Anna\0",
        "Anna\ud83d",
        "<b>Anna</b>",
        "Anna!",
        "100 %",
    ],
)
def test_what_could_be_pressed_or_dialled_is_no_name(text: str | None) -> None:
    assert reader_name(text) is None


@given(
    st.text(max_size=20)
    | st.text(st.characters(categories=["L"]) | st.sampled_from("aB '-.²Ⅷ\u0301"), max_size=50)
)
def test_a_plain_name_is_judged_as_any_other(text: str) -> None:
    # With something that nobody sees it is no longer plain.
    assert reader_name(text) == reader_name(text + "\u200b")


@given(st.text(max_size=60))
def test_whatever_passes_is_one_short_line_and_passes_again(text: str) -> None:
    name = reader_name(text)
    if name is not None:
        assert 0 < len(name) <= LONGEST
        assert reader_name(name) == name
        assert {unicodedata.category(one)[0] for one in set(name) - set("`´\u200c\u200d")} <= set(
            "LMPZ"
        )
        assert not set(name) & set("@:/\\")
