"""Finding the columns: by their names in several languages, or by what staff say with --map."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailer.errors import Refused
from mailer.subscribers.importing.columns import ColumnKey, parse_columns
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from tests.support.imported_rows import read, read_file


def one(folder: Path, text: str, columns: str = "") -> ImportRow:
    (row,) = read(folder, text.encode(), columns)
    assert isinstance(row, ImportRow)
    return row


@pytest.mark.parametrize(
    ("header", "cells", "name"),
    [
        ("E-Mail,Vorname,Nachname", "Anna,Abel", "Anna Abel"),
        ("E-Mail-Adresse,Vorname,Name", "Anna,Abel", "Anna Abel"),
        ("Adresse e-mail,Prénom,Nom", "Anna,Abel", "Anna Abel"),
        ("Courriel,Nom,Ville", "Anna Abel,Lyon", "Anna Abel"),
        ("Электронная почта,Имя,Фамилия", "Ольга,Иванова", "Ольга Иванова"),
        ("Эл. почта,ФИО,Город", "Ольга Иванова,Москва", "Ольга Иванова"),
        ("Էլ. փոստ,Անուն,Ազգանուն", "Արամ,Պետրոսյան", "Արամ Պետրոսյան"),
        ('"EMAIL  ADDRESS",FIRST_NAME,LastName', "Anna,Abel", "Anna Abel"),
        ("\ufeffemail,fname,lname", "Anna,Abel", "Anna Abel"),
        ("*Email*,Full Name,First Name", "Anna Abel,Anna", "Anna Abel"),
        ("Email,Full Name,First Name", ",Anna", "Anna"),
        ("What is your e-mail?,Your name,City", "Anna,Town", "Anna"),
        ("Email,Name,Email", "Anna,other@example.com", "Anna"),
        ("Email,Email status,Name", "active,Anna", "Anna"),
        ("Business Email,Email opened,Name", "12,Anna", "Anna"),
        ("Email,Username,First", "anna77,Anna", "Anna"),
        ("Subscriber,Opens,First", "7,Anna", "Anna"),
        ("Subscriber,Name,Last name", "Anna,Abel", "Anna Abel"),
        ("Subscriber,Name,Last name", "Anna Abel,Abel", "Anna Abel"),
        ("Subscriber,Name,Last name", "Anna,", "Anna"),
        ("Personal e-mail,Opens,First", "7,Anna", "Anna"),
    ],
)
def test_names_of_columns(tmp_path: Path, header: str, cells: str, name: str) -> None:
    row = one(tmp_path, f"{header}\na@example.com,{cells}\n")
    assert (row.email, row.name) == ("a@example.com", name)


def test_two_columns_that_could_hold_the_address_are_not_guessed_between(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no column 'email', it has Work email, Home email"):
        read(tmp_path, b"Work email,Home email\na@example.com,b@example.com\n")


def test_two_columns_of_one_name_are_warned_of(tmp_path: Path) -> None:
    (warning,) = read_file(tmp_path, b"Email,EMAIL\na@example.com,b@example.com\n").warnings
    assert "several columns are called 'Email', of which the first is used" in warning


def test_the_map_names_every_kind_of_column(tmp_path: Path) -> None:
    text = (
        "A|B|C|D|E, F|G|H|I|J\na@example.com|Anna|Abel|no|2025-01-02|192.0.2.1|2025-02-03|Fair|x\n"
    )
    chosen = "email=a,first=B,last=C,status=D,opted_in=E, F,ip=G,left=H,source=I"
    assert one(tmp_path, text, chosen) == ImportRow(
        line=2,
        email="a@example.com",
        name="Anna Abel",
        status=ReaderStatus.UNSUBSCRIBED,
        opted_in_at=datetime(2025, 1, 2, tzinfo=UTC),
        opt_in_ip="192.0.2.1",
        left_at=datetime(2025, 2, 3, tzinfo=UTC),
        source="Fair",
    )
    assert one(tmp_path, text, "email=1,name=9").name == "x"


def test_a_column_can_be_set_aside(tmp_path: Path) -> None:
    text = "email,status,name\na@example.com,gold,Anna\n"
    assert isinstance(read(tmp_path, text.encode())[0], RejectedRow)
    assert one(tmp_path, text, "status=-,name=-").name is None


@pytest.mark.parametrize(
    ("data", "columns", "told"),
    [
        (
            "address\nx",
            "",
            "no column 'email', it has address; say which one it is with --map email",
        ),
        ("email\nx\n", "name=Who", "no column 'Who', it has email; .* --map name=COLUMN"),
        ("email\nx\n", "email=-", "no column '-'"),
        ("email,b\nx\n", "name=3", "no column '3'"),
        ("email,b\nx\n", "name=0", "no column '0'"),
        ("a\x1b]0;b,c\nx\n", "", r"it has a ]0;b, c;"),
        ("x" * 5000 + "\nx\n", "", "it has x{300};"),
    ],
)
def test_a_missing_column_is_one_clear_error(
    tmp_path: Path, data: str, columns: str, told: str
) -> None:
    with pytest.raises(Refused, match=told):
        read(tmp_path, data.encode(), columns)


def test_a_list_of_addresses_needs_no_header(tmp_path: Path) -> None:
    rows = read(tmp_path, b"a@example.com\n\nb@example.com\n")
    assert rows == [ImportRow(1, "a@example.com"), ImportRow(3, "b@example.com")]


def test_more_columns_without_a_header_are_named_by_their_numbers(tmp_path: Path) -> None:
    data = b"Anna;a@example.com;unsubscribed\nBoris;b@example.com;active\n"
    with pytest.raises(Refused, match=r"no header row.*--map email=1,name=2"):
        read(tmp_path, data)
    rows = read(tmp_path, data, "email=2,name=1,status=3")
    assert [row.status for row in rows if isinstance(row, ImportRow)] == ["unsubscribed", "active"]
    with pytest.raises(Refused, match="no column 'email', it has 3 without names"):
        read(tmp_path, data, "name=1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("", {}),
        ("email=E-Mail", {"email": "E-Mail"}),
        (" email = A , name=B ", {"email": "A", "name": "B"}),
        ("email=Mail, private,name=B,", {"email": "Mail, private", "name": "B"}),
    ],
)
def test_columns_are_named_in_pairs(text: str | None, expected: dict[str, str]) -> None:
    assert parse_columns(text) == expected


@pytest.mark.parametrize("text", ["email", "email=", "phone=X", "=x", "email=A,phone=B"])
def test_other_pairs_are_refused(text: str) -> None:
    with pytest.raises(
        Refused, match=r"--map must be like .* it can name email, name, first, last"
    ):
        parse_columns(text)
    with pytest.raises(Refused, match="names email twice"):
        parse_columns("email=A,email=B")


def test_the_keys_of_the_map_are_documented() -> None:
    commands = (Path(__file__).parents[4] / "docs" / "moving-in.md").read_text()
    assert [key for key in ColumnKey if f"`{key}`" not in commands] == []


@pytest.mark.parametrize(
    ("cell", "email"),
    [
        ("Anna <a@example.com>", "a@example.com"),
        ("mailto:a@example.com", "a@example.com"),
        ("\u200ba@example.com\ufeff", "a@example.com"),
        ("'+a@example.com", "+a@example.com"),
        ("'a@example.com", "'a@example.com"),
        ("''a@example.com", "'a@example.com"),
        ('" a@example.com, ;"', "a@example.com"),
        ("'a@example.com'", "a@example.com"),
        ("mailto:a@example.com?subject=x", "a@example.com"),
    ],
)
def test_addresses_as_other_programs_write_them(tmp_path: Path, cell: str, email: str) -> None:
    assert one(tmp_path, f"email,x\n{cell},y\n").email == email


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (",Anna", "there is no address"),
        ("a" * 321 + "@example.com,Anna", "more than 320 characters"),
    ],
)
def test_rows_without_a_usable_address_are_rejected(tmp_path: Path, cells: str, told: str) -> None:
    (row,) = read(tmp_path, f"email,name\n{cells}\n".encode())
    assert isinstance(row, RejectedRow)
    assert told in row.reason


@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("192.0.2.256", None),
        ("192.0.2.01", None),
        ("192.0.2.1, 192.0.2.2", None),
        ("192.0.2.1:80", None),
        ("fe80::1%eth0", None),
        ("home", None),
        ("1" * 100_000, None),
    ],
)
def test_only_ip_addresses_are_kept(tmp_path: Path, ip: str, kept: str | None) -> None:
    reader_file = read_file(tmp_path, f'email,ip\na@example.com,"{ip}"\n'.encode())
    (row,) = reader_file.rows
    assert isinstance(row, ImportRow)
    assert row.opt_in_ip == kept
    assert [
        ("1 IP address is not valid (the first on line 2)" in one) for one in reader_file.warnings
    ] == [True] * (kept is None)


def test_names_and_sources_are_cleaned(tmp_path: Path) -> None:
    text = 'email,first name,last name,source\na@example.com,"Anna ", Abel,"the\x00 fair\nin May"\n'
    row = one(tmp_path, text + "")
    assert (row.name, row.source) == ("Anna Abel", "the fair in May")
    assert one(tmp_path, "email,name\na@example.com,visit x.example/1\n").name is None
    row = one(tmp_path, "email,name,source\na@example.com,'-Anna,'+1\n")
    assert (row.name, row.source) == ("-Anna", "+1")


def test_an_export_of_several_newsletters_is_warned_of(tmp_path: Path) -> None:
    header = b"email,newsletter,schedule,status,opted_in_at,paused_at\n"
    rows = [b"a@example.com,no,morning,active,,\n", b"b@example.com,weekly,friday,active,,\n"]
    for count, warned in ((1, False), (2, True)):
        reader_file = read_file(tmp_path, header + b"".join(rows[:count]))
        statuses = [row.status for row in reader_file.rows if isinstance(row, ImportRow)]
        assert statuses == [ReaderStatus.ACTIVE] * count
        told = ["several newsletters (no, weekly)" in one for one in reader_file.warnings]
        assert told == [True] * warned
