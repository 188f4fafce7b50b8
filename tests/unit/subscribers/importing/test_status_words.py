"""Words of status columns: who gets mail, who does not, and who is not taken over at all."""

from pathlib import Path

import pytest

from mailer.models import SuppressionReason
from mailer.subscribers.importing import status_words
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from tests.support.imported_rows import read

DOCUMENT = Path(__file__).parents[4] / "docs" / "moving-in.md"
ACTIVE, LEFT, STOPPED = ReaderStatus
LISTS = {
    name: value
    for name, value in vars(status_words).items()
    if name.endswith("_WORDS") and name[0] != "_"
}


def one(folder: Path, header: str, *cells: str, **options: object) -> ImportRow | RejectedRow:
    (row,) = read(folder, f"email,{header}\na@example.com,{','.join(cells)}\n".encode(), **options)
    return row


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("ACTIVE_WORDS", ACTIVE, None),
        ("UNSUBSCRIBED_WORDS", LEFT, None),
        ("BOUNCED_WORDS", STOPPED, SuppressionReason.BOUNCED),
        ("COMPLAINED_WORDS", STOPPED, SuppressionReason.COMPLAINED),
        ("BLOCKED_WORDS", STOPPED, SuppressionReason.STAFF),
    ],
)
def test_each_word_means_what_its_list_says(
    tmp_path: Path, words: str, status: ReaderStatus, reason: SuppressionReason | None
) -> None:
    for word in LISTS[words]:
        for written in (word, word.upper(), f" {word.replace(' ', '_')} "):
            row = one(tmp_path, "Status", written)
            assert isinstance(row, ImportRow), (written, row)
            assert (row.status, row.reason) == (status, reason), written


@pytest.mark.parametrize("words", ["UNCONFIRMED_WORDS", "WAITING_WORDS"])
def test_who_never_confirmed_is_rejected(tmp_path: Path, words: str) -> None:
    for word in LISTS[words]:
        row = one(tmp_path, "Status", word)
        assert isinstance(row, RejectedRow)
        assert "never confirmed" in row.reason


def test_no_word_is_in_two_lists() -> None:
    folded = [status_words.fold(word) for words in LISTS.values() for word in words]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize("word", ["", "  ", "null", "N/A"])
def test_an_empty_status_is_not_active(tmp_path: Path, word: str) -> None:
    row = one(tmp_path, "Status,x", word, "y")
    assert isinstance(row, RejectedRow)
    assert "empty" in row.reason


def test_an_unknown_word_is_rejected_and_shown_safely(tmp_path: Path) -> None:
    row = one(tmp_path, "Status", "g\x1b[31mold" + "!" * 1000)
    assert isinstance(row, RejectedRow)
    assert 'the status "g [31mold!' in row.reason
    assert len(row.reason) < 150


@pytest.mark.parametrize(
    ("header", "cells", "status"),
    [
        ("status,email_disabled", ("active", "false"), ACTIVE),
        ("status,email_disabled", ("active", "true"), LEFT),
        ("subscribed_to_emails,email_disabled", ("true", "true"), LEFT),
        ("subscribed_to_emails,email_disabled", ("false", "false"), LEFT),
        ("List status,Global status", ("subscribed", "bounced"), STOPPED),
        ("List status,Global status", ("unsubscribed", "bounced"), STOPPED),
        ("List status,Global status", ("unconfirmed", "unsubscribed"), LEFT),
        ("List status,Global status", ("subscribed", "unconfirmed"), None),
        ("Status,Status", ("subscribed", "unsubscribed"), LEFT),
        ("status,bounced,spam", ("active", "1", "0"), STOPPED),
        ("unsubscribed_at", ("2025-01-01",), LEFT),
        ("unsubscribed_at", ("",), ACTIVE),
        ("unsubscribed_at", ("0000-00-00 00:00:00",), ACTIVE),
        ("EMAIL_BLACKLISTED,SMS_BLACKLISTED", ("No", "Yes"), ACTIVE),
        ("Blocklisted", ("whatever",), STOPPED),
        ("Marital status", ("single",), ACTIVE),
        ("Marital status", ("left",), ACTIVE),
        ("Mail status here", ("Unsubscribed",), LEFT),
        ("Status,Order status", ("active", "bounced"), STOPPED),
    ],
)
def test_of_several_columns_the_most_restrictive_counts(
    tmp_path: Path, header: str, cells: tuple[str, ...], status: ReaderStatus | None
) -> None:
    row = one(tmp_path, header, *cells)
    assert (row.status if isinstance(row, ImportRow) else None) is status


def test_a_whole_file_can_be_of_people_who_left(tmp_path: Path) -> None:
    for least in ReaderStatus:
        row = one(tmp_path, "name", "Anna", status=least)
        assert isinstance(row, ImportRow)
        assert row.status is least
    row = one(tmp_path, "status", "bounced", status=LEFT)
    assert isinstance(row, ImportRow)
    assert row.reason is SuppressionReason.BOUNCED


def test_who_pauses_is_taken_if_the_row_says_since_when(tmp_path: Path) -> None:
    row = one(tmp_path, "status,paused_at,language", "paused", "2026-01-02T03:04:05Z", "de-AT")
    assert isinstance(row, ImportRow)
    assert row.paused_at is not None
    assert row.language is None
    row = one(tmp_path, "status,lang", "active", "hy_AM", languages=("en", "hy"))
    assert isinstance(row, ImportRow)
    assert row.language == "hy"
    assert isinstance(one(tmp_path, "status", "paused"), RejectedRow)
    assert isinstance(one(tmp_path, "status,paused_at", "pending", "2026-01-02"), RejectedRow)


def test_each_word_is_documented() -> None:
    text = DOCUMENT.read_text()
    assert [word for words in LISTS.values() for word in words if f"`{word}`" not in text] == []


@pytest.mark.parametrize(
    ("header", "cells", "status"),
    [
        ("Subscribed,Unsubscribed", ("2024-05-01", ""), ACTIVE),
        ("Subscribed,Unsubscribed", ("2024-05-01", "2024-06-01"), LEFT),
        ("Subscribed", ("03/04/2024",), ACTIVE),
        ("Subscribed", ("no",), LEFT),
        ("Subscribed", ("perhaps",), None),
        ("Newsletter", ("no",), LEFT),
        ("Newsletter", ("yes",), ACTIVE),
        ("Newsletter", ("",), ACTIVE),
        ("Newsletter", ("daily",), ACTIVE),
        ("GDPR consent", ("False",), LEFT),
        ("GDPR consent", ("unsubscribed",), LEFT),
        ("Abonnement Status", ("inaktiv",), None),
        ("Newsletter subscription status", ("cancelled",), LEFT),
        ("Customer status", ("inactive",), ACTIVE),
        ("State", ("cancelled",), LEFT),
        ("State", ("NY",), None),
        ("State,City", ("NY", "Albany"), ACTIVE),
        ("State,City", ("unsubscribed", "Albany"), LEFT),
        ("Confirmed Opt-Out Date", ("2024-05-01",), LEFT),
        ("Date of unsubscription", ("2024-05-01",), LEFT),
        ("SMS opt-out date", ("2024-05-01",), ACTIVE),
    ],
)
def test_columns_that_can_be_two_things(
    tmp_path: Path, header: str, cells: tuple[str, ...], status: ReaderStatus | None
) -> None:
    row = one(tmp_path, header, *cells)
    assert (row.status if isinstance(row, ImportRow) else None) is status
    if header.startswith("Subscribed,"):
        assert isinstance(row, ImportRow)
        assert row.opted_in_at is not None


@pytest.mark.parametrize(
    ("header", "statuses"),
    [
        # For the cells true, false, nothing, and a date.
        ("Unsubscribed from all email", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Opted out of email: Newsletter", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("isUnsubscribed", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("EmailOptOut", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Unsubscribe status", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Abbestellt am", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Désinscrit le", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Отписался", (LEFT, ACTIVE, ACTIVE, LEFT)),
        ("Date bounced", (STOPPED, ACTIVE, ACTIVE, STOPPED)),
        ("Invalid email address", (STOPPED, ACTIVE, ACTIVE, STOPPED)),
        ("Spam complaint date", (STOPPED, ACTIVE, ACTIVE, STOPPED)),
        ("doNotContact", (STOPPED, ACTIVE, ACTIVE, STOPPED)),
        ("Do not send email", (STOPPED, ACTIVE, ACTIVE, STOPPED)),
        ("Is excluded from campaigns", (None, ACTIVE, ACTIVE, None)),
        ("Date deleted", (None, ACTIVE, ACTIVE, None)),
        ("Archived", (None, ACTIVE, ACTIVE, None)),
        ("Confirmed", (ACTIVE, None, None, ACTIVE)),
        ("email_verified", (ACTIVE, None, ACTIVE, ACTIVE)),
        ("DOUBLE_OPT-IN", (ACTIVE, None, ACTIVE, ACTIVE)),
        ("Wants e-mails", (ACTIVE, None, ACTIVE, ACTIVE)),
        ("isActive", (ACTIVE, LEFT, None, None)),
        # About something else.
        ("SMS opt-out", (ACTIVE, ACTIVE, ACTIVE, ACTIVE)),
        ("Unsubscribe link", (ACTIVE, ACTIVE, ACTIVE, ACTIVE)),
        ("active_subscription", (ACTIVE, ACTIVE, ACTIVE, ACTIVE)),
        ("Bounce count", (ACTIVE, ACTIVE, ACTIVE, ACTIVE)),
        ("Complimentary plan enabled", (ACTIVE, ACTIVE, ACTIVE, ACTIVE)),
    ],
)
def test_no_column_that_speaks_of_leaving_is_overlooked(
    tmp_path: Path, header: str, statuses: tuple[ReaderStatus | None, ...]
) -> None:
    rows = [one(tmp_path, header, cell) for cell in ("true", "false", "", "2024-05-01")]
    assert statuses == tuple(row.status if isinstance(row, ImportRow) else None for row in rows)


@pytest.mark.parametrize(
    ("header", "cell", "status"),
    [
        ("Unsubscribe source", "a campaign", None),
        ("Unsubscribe reason", "too many mails", LEFT),
        ("Unsubscribe reason", "spam", STOPPED),
        ("Email hard bounce reason", "UNKNOWN_USER", STOPPED),
        ("Unsubscribe status", "subscribed", ACTIVE),
        ("Unsubscribed on", "never", ACTIVE),
        ("Email suppressions", '"[""HARD_BOUNCE""]"', STOPPED),
        ("Email suppressions", "[]", ACTIVE),
        ("Email permission status", "Awaiting confirmation", None),
        ("Email permission status", "Express", ACTIVE),
        ("Email confirmation status", "pending", None),
        ("Email confirmation status", "", ACTIVE),
        ("Estado global", "Desuscrito", LEFT),
        ("Stato della lista", "qualcosa", None),
        ("Afgemeld op", "2024-05-01", LEFT),
        ("Stop status", "Undeliverable", STOPPED),
        ("Stop status", "", ACTIVE),
        ("eu_consent", "denied", None),
        ("GDPR", "revoked", LEFT),
        ("subscriber_type", "unsubscribed", LEFT),
        ("subscriber_type", "removed", LEFT),
        ("subscriber_type", "premium", ACTIVE),
        ("state,Country", "cancelled", LEFT),
        ("state,Country", "inactive", None),
        ("state,Country", "ON", ACTIVE),
        ("user_status,user_login", "0", ACTIVE),
        ("confirmed,optedin,bouncecount", "1,0", ACTIVE),
        ("confirmed,optedin,bouncecount", "0,0", None),
    ],
)
def test_cells_of_columns_by_other_names(
    tmp_path: Path, header: str, cell: str, status: ReaderStatus | None
) -> None:
    row = one(tmp_path, header, cell)
    assert (row.status if isinstance(row, ImportRow) else None) is status


def test_a_doubtful_column_is_named_with_the_next_step(tmp_path: Path) -> None:
    row = one(tmp_path, "Unsubscribe source", "a campaign")
    assert isinstance(row, RejectedRow)
    assert 'the column "Unsubscribe source" says "a campaign"' in row.reason
    assert "--map status=COLUMN" in row.reason
    row = one(tmp_path, "x,Unsubscribe source", "active", "a campaign", columns="status=x")
    assert isinstance(row, ImportRow)


@pytest.mark.parametrize(
    ("header", "cells", "status"),
    [
        ("Remark", "Unsubscribed", LEFT),
        ("Tags", "opted_out", LEFT),
        ("Remark,Other", "bounced,unsubscribed", STOPPED),
        ("Remark", "never confirmed", None),
        ("Remark", "cancelled", ACTIVE),
        ("Remark", "was unsubscribed once", ACTIVE),
        ("Status,Tags", "active,unsubscribed", ACTIVE),
        ("Stav", "Odhlášen", LEFT),
        ("Stav", "kdesi", None),
    ],
)
def test_without_a_status_the_words_for_it_count_in_any_cell(
    tmp_path: Path, header: str, cells: str, status: ReaderStatus | None
) -> None:
    row = one(tmp_path, header, cells)
    assert (row.status if isinstance(row, ImportRow) else None) is status


def test_a_file_without_a_header_says_too_who_left(tmp_path: Path) -> None:
    data = b"a@example.com,Anna,unsubscribed\n"
    for columns, status in (
        ("email=1", LEFT),
        ("email=1,name=2", LEFT),
        ("email=1,status=-", ACTIVE),
    ):
        (row,) = read(tmp_path, data, columns)
        assert isinstance(row, ImportRow)
        assert row.status is status
