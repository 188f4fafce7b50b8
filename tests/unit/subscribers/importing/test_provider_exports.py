"""Exports of eight services: 10,000 made-up people in each form come out as they went in."""

from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

import pytest

from mailer.subscribers.importing.presets import Preset
from mailer.subscribers.importing.read import ReadOptions, read_rows
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from tests.support.imported_rows import NOW, read, read_file
from tests.support.provider_exports import EXPORTS


@pytest.mark.parametrize("people", [500, pytest.param(10_000, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", EXPORTS)
def test_everybody_comes_out_as_the_service_has_them(
    name: str, people: int, tmp_path: Path
) -> None:
    export = EXPORTS[name]
    reader_file = read_rows(export.write(tmp_path, people), ReadOptions(NOW))

    def told() -> Iterator[ImportRow | int]:
        for row in reader_file.rows:
            yield row.line if isinstance(row, RejectedRow) else row

    assert reader_file.preset is export.preset
    wrong = (pair for pair in zip_longest(told(), export.expected(people)) if pair[0] != pair[1])
    assert list(islice(wrong, 3)) == []
    assert len(reader_file.warnings) == export.warnings


@pytest.mark.parametrize("name", EXPORTS)
def test_other_orders_cases_columns_and_a_spreadsheet_do_no_harm(name: str, tmp_path: Path) -> None:
    export = EXPORTS[name]
    people = list(export.expected(300))
    rows = read_rows(export.write(tmp_path, 300), ReadOptions(NOW))
    want = [row._replace(line=0) for row in rows.rows if isinstance(row, ImportRow)]
    assert len(want) == sum(isinstance(person, ImportRow) for person in people)

    import csv
    import io

    escape = "\\" if name == "mailpoet" else None
    text = b"".join(export.data(300)).decode("utf-8-sig")
    table = list(
        csv.reader(io.StringIO(text, newline=""), delimiter=export.delimiter, escapechar=escape)
    )
    # As a spreadsheet saves it: other delimiter, other order, one more column, other case.
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t")
    for number, cells in enumerate(table):
        header = number == 0
        changed = [cell.title() if header else cell for cell in reversed(cells)]
        writer.writerow(["Marital status" if header else "single", *changed, "x" if header else ""])
    got = read(tmp_path, out.getvalue().encode("utf-16"), name=export.file_name)
    assert [row._replace(line=0) for row in got if isinstance(row, ImportRow)] == want


MAILCHIMP = b"Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LEID,EUID"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("subscribed_members_export.csv", ReaderStatus.ACTIVE),
        ("list.csv", ReaderStatus.ACTIVE),
        ("unsubscribed_members_export.csv", ReaderStatus.UNSUBSCRIBED),
        ("cleaned_members_export.csv", ReaderStatus.SUPPRESSED),
        ("nonsubscribed_members_export.csv", None),
    ],
)
def test_a_name_that_mailchimp_gave_is_heeded(
    tmp_path: Path, name: str, status: ReaderStatus | None
) -> None:
    (row,) = read(tmp_path, MAILCHIMP + b"\na@example.com,A,B,2,,,1,2\n", name=name)
    assert (row.status if isinstance(row, ImportRow) else None) is status


@pytest.mark.parametrize(
    ("columns", "status"),
    [("UNSUB_TIME,UNSUB_REASON", "unsubscribed"), ("CLEAN_TIME,CLEAN_CAMPAIGN_ID", "suppressed")],
)
def test_everybody_in_a_file_of_people_who_left_has_left(
    tmp_path: Path, columns: str, status: str
) -> None:
    header = MAILCHIMP + f",{columns}\n".encode()
    (row,) = read(tmp_path, header + b"a@example.com,A,B,2,,,1,2,,\n", name="list.csv")
    assert isinstance(row, ImportRow)
    assert row.status == status


def test_the_three_files_of_mailchimp_in_one_are_told_apart_by_their_rows(tmp_path: Path) -> None:
    data = MAILCHIMP + b",UNSUB_TIME,UNSUB_REASON,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\n"
    data += b"a@example.com,A,B,2,,,1,2,,,,\n"
    data += b"b@example.com,A,B,2,,,1,2,2025-01-01 10:00:00,,,\n"
    data += b"c@example.com,A,B,2,,,1,2,,,2025-01-01 10:00:00,\n"
    statuses = [row.status for row in read(tmp_path, data) if isinstance(row, ImportRow)]
    assert statuses == list(ReaderStatus)


@pytest.mark.parametrize(
    ("header", "preset"),
    [
        ("Email,First name,Last name,List status,Global status,List", Preset.MAILPOET),
        (
            "email,active_subscription,expiry,email_disabled,prefer_digests,created_at",
            Preset.SUBSTACK,
        ),
        ("id,email,name,note,subscribed_to_emails,labels,products", Preset.GHOST),
        ("email,name,note,complimentary_plan,stripe_customer_id,created_at", Preset.GHOST),
        ("EMAIL;VORNAME;NACHNAME;SMS;ADDED_TIME;MODIFIED_TIME", Preset.BREVO),
        ("Email,Status,Created At,Subscription Tier", Preset.BEEHIIV),
        ("first_name,email,created_at,status", Preset.GENERIC),
        ("email,name,uuid,status", Preset.LISTMONK),
        ("Email Address,MEMBER_RATING,OPTIN_TIME", Preset.MAILCHIMP_SUBSCRIBED),
        ("email,UNSUB_TIME", Preset.MAILCHIMP_UNSUBSCRIBED),
        ("email,name,CLEAN_TIME", Preset.MAILCHIMP_CLEANED),
        ("email,name", Preset.GENERIC),
    ],
)
def test_other_forms_of_the_same_exports_are_recognised(
    tmp_path: Path, header: str, preset: Preset
) -> None:
    assert read_file(tmp_path, f"{header}\n".encode()).preset is preset


def test_an_export_without_the_column_that_says_who_left_is_warned_of(tmp_path: Path) -> None:
    (warning,) = read_file(tmp_path, b"EMAIL;SMS;ADDED_TIME;MODIFIED_TIME\n").warnings
    assert "an export of Brevo" in warning
    assert "no column says who unsubscribed" in warning


def test_inactive_means_left_only_where_the_service_says_so(tmp_path: Path) -> None:
    row = b"\na@example.com,inactive,free,web\n"
    beehiiv = read(tmp_path, b"email,status,subscription_tier,utm_source" + row)[0]
    other = read(tmp_path, b"email,status,plan,x" + row)[0]
    assert isinstance(beehiiv, ImportRow)
    assert beehiiv.status is ReaderStatus.UNSUBSCRIBED
    assert isinstance(other, RejectedRow)
