"""A Maildir: which mails are unread, and what becomes of those that were taken in."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailer.bounces.intake.mailbox import BATCH
from mailer.bounces.intake.maildir import Maildir
from mailer.bounces.reading.mime import LONGEST_READ
from mailer.errors import MailboxUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(folder: Path, *names: str, raw: bytes = b"Subject: x\r\n\r\nx\r\n") -> None:
    for name in names:
        (folder / name).write_bytes(raw)


def unread(folder: Path) -> list[str]:
    return [mail.id for batch in Maildir(folder).batches() for mail in batch]


def files(folder: Path) -> Sequence[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("*/*"))


def test_new_mails_and_those_that_nobody_read_are_unread(folder: Path) -> None:
    put(folder, "new/1.host", "cur/2.host:2,", "cur/3.host:2,S", "cur/4.host:2,RT", "new/.5")
    assert unread(folder) == ["new/1.host", "cur/2.host:2,"]


def test_what_is_recorded_goes_and_the_rest_is_marked_as_read(folder: Path) -> None:
    put(folder, "new/1.host", "new/2.host", "cur/3.host:2,F")
    Maildir(folder).settle(remove=["new/1.host"], leave=["new/2.host", "cur/3.host:2,F"])
    assert files(folder) == ["cur/2.host:2,S", "cur/3.host:2,FS"]
    assert unread(folder) == []


def test_another_process_may_be_faster(folder: Path) -> None:
    put(folder, "new/1.host", "new/2.host")
    maildir = Maildir(folder)
    batches = maildir.batches()
    assert len(next(iter(batches))) == 2
    for path in (folder / "new").iterdir():
        path.unlink()
    maildir.settle(remove=["new/1.host"], leave=["new/2.host"])
    assert files(folder) == []


def test_of_a_long_mail_the_beginning_is_read(folder: Path) -> None:
    put(folder, "new/1.host", raw=b"x" * (LONGEST_READ + 1))
    ((mail,),) = Maildir(folder).batches()
    assert len(mail.raw) == LONGEST_READ


def test_many_mails_come_a_few_at_a_time(folder: Path) -> None:
    put(folder, *(f"new/{number}.host" for number in range(BATCH + 1)))
    assert [len(batch) for batch in Maildir(folder).batches()] == [BATCH, 1]


def test_a_folder_that_is_no_maildir_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(MailboxUnavailable, match="has no folder 'cur'"):
        Maildir(tmp_path)


def test_a_mailbox_that_cannot_be_read_is_an_error(folder: Path) -> None:
    maildir = Maildir(folder)
    (folder / "cur").rmdir()
    with pytest.raises(MailboxUnavailable, match="cannot be read"):
        list(maildir.batches())
