"""Reads mails from a Maildir, as Postfix or Dovecot deliver into one.

Never writes into a mail. One that another process has removed or renamed meanwhile is left to that process.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mailer.bounces.intake.mailbox import BATCH, UnreadMail
from mailer.bounces.reading.mime import LONGEST_READ
from mailer.errors import MailboxUnavailable

_INFO: Final = ":2,"
"""Begins the flags in the name of a file in `cur`, which are letters in alphabetical order."""


class Maildir:
    """The Maildir in one folder.

    Raises:
        MailboxUnavailable: the folder is not a Maildir, or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("new", "cur"):
            if not (folder / name).is_dir():
                raise MailboxUnavailable(
                    f"{folder} is not a Maildir: it has no folder {name!r}; check bounce_fetch_url"
                )

    def batches(self) -> Iterator[Sequence[UnreadMail]]:
        """Yield the mails in `new`, and those in `cur` that are not marked as read.

        Raises:
            MailboxUnavailable: this user may not read them.
        """
        try:
            names = [
                f"{part}/{name}"
                for part in ("new", "cur")
                for name in sorted(os.listdir(self._folder / part))
                if not name.startswith(".") and _flags(name).isdisjoint("ST")
            ]
            for start in range(0, len(names), BATCH):
                yield [
                    UnreadMail(name, raw)
                    for name in names[start : start + BATCH]
                    if (raw := self._read(name)) is not None
                ]
        except OSError as error:
            raise MailboxUnavailable(
                f"{self._folder} cannot be read ({error.strerror});"
                " let the mailer's user read and write it"
            ) from error

    def settle(self, *, remove: Sequence[str], leave: Sequence[str]) -> None:
        """Remove some mails, and mark others as read.

        Raises:
            MailboxUnavailable: this user may not write there.
        """
        try:
            for name in remove:
                (self._folder / name).unlink(missing_ok=True)
            for name in leave:
                self._mark_as_read(name)
        except OSError as error:
            raise MailboxUnavailable(
                f"mails in {self._folder} cannot be removed ({error.strerror});"
                " let the mailer's user write there"
            ) from error

    def _read(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(LONGEST_READ)
        except (FileNotFoundError, IsADirectoryError):
            return None

    def _mark_as_read(self, name: str) -> None:
        base, _, _ = name.partition("/")[2].partition(_INFO)
        flags = "".join(sorted(_flags(name) | {"S"}))
        try:
            (self._folder / name).rename(self._folder / "cur" / f"{base}{_INFO}{flags}")
        except FileNotFoundError:
            return


def _flags(name: str) -> set[str]:
    return set(name.partition(_INFO)[2])
