"""What a checksum of a table is made of, and what PostgreSQL cannot store."""

from mailer.database_copies.moving.checksums import (
    BadValue,
    TableChecksum,
    TableSum,
    bad_values,
    differing,
    is_storable,
)

COLUMNS = ("id", "title", "author")


def checksum(*chunks: bytes) -> TableSum:
    table = TableChecksum()
    for chunk in chunks:
        table.add(chunk)
    return table.result


def bad(chunk: bytes) -> list[BadValue]:
    return list(bad_values(chunk, "article", COLUMNS, ["id"]))


def test_chunks_do_not_matter_and_every_byte_does() -> None:
    assert checksum(b"1\ta\n", b"2\tb\n3\tc\n") == checksum(b"1\ta\n2\tb\n3\tc\n")
    assert checksum(b"1\ta\n").rows == 1
    for other in (b"1\tb\n", b"2\ta\n", b"1\t\\N\n", b"1\t\n", b"1\ta\n1\ta\n"):
        assert checksum(other) != checksum(b"1\ta\n")


def test_tables_that_differ_are_named_with_both_numbers() -> None:
    one, two = checksum(b"1\n"), checksum(b"1\n2\n")
    assert differing({"a": one, "b": two}, {"a": one, "b": one}) == ["b (2 and 1 rows)"]
    assert differing({"a": one}, {"a": one}) == []


def test_what_is_utf_8_without_a_nul_can_be_stored() -> None:
    assert is_storable("Grüße 🙂\x01\x7f\uffff\U0010ffff".encode())
    assert not is_storable(b"a\0b")
    assert not is_storable(b"caf\xe9")
    assert not is_storable("\ud800".encode("utf-8", "surrogatepass"))


def test_a_value_that_cannot_be_stored_is_named_by_column_and_key() -> None:
    chunk = b"7\tfine\t\\N\n8\ta\0b\tcaf\xe9\n9\tfine\t\xed\xa0\x80\n"
    assert bad(chunk) == [
        BadValue("article", "title", "8", "a NUL character"),
        BadValue("article", "author", "8", "not UTF-8"),
        BadValue("article", "author", "9", "not UTF-8"),
    ]
    assert str(bad(chunk)[0]) == "article.title of the row 8 (a NUL character)"


def test_a_key_by_a_stranger_is_shown_in_one_short_line() -> None:
    chunk = b"\x1b[31m" + b"k" * 200 + b"\xff\n"
    [found] = bad_values(chunk, "article_category", ["category"], ["category"])
    assert "\x1b" not in found.key
    assert len(found.key) <= 60
