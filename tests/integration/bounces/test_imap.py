"""An IMAP server with a very full folder, one that refuses to delete, and one that does not say goodbye."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailer.bounces.intake.imap import ImapFolder, opened_folder
from mailer.errors import MailboxUnavailable
from tests.support.imap_server import FIRST_UID, ImapServer, imap_server


@contextmanager
def opened(server: ImapServer, user: str = "u", password: str = "p") -> Iterator[ImapFolder]:
    with (
        imap_server(server),
        opened_folder(
            "127.0.0.1",
            server.port,
            implicit_tls=False,
            starttls=False,
            user=user,
            password=password,
            folder="INBOX",
        ) as folder,
    ):
        yield folder


@pytest.mark.parametrize(
    ("mails", "searches"), [(0, 0), (1, 1), (10_000, 1), (10_001, 2), (150_000, 15)]
)
def test_a_flood_of_mails_is_read_in_pieces(mails: int, searches: int) -> None:
    server = ImapServer(mails)
    with opened(server) as folder:
        batches = folder.batches()
        next(batches, None)
    asked = [command for command in server.told if "SEARCH" in command]
    assert len(asked) == searches
    assert any("FETCH" in command for command in server.told) is (mails > 0)


def test_a_mail_that_may_not_be_deleted_is_read_once() -> None:
    server = ImapServer(refused=("Deleted",))
    with (
        opened(server) as folder,
        pytest.raises(MailboxUnavailable, match="cannot be removed"),
    ):
        folder.settle(remove=[str(FIRST_UID)], leave=[str(FIRST_UID + 1)])
    [marked] = [command for command in server.told if "Seen" in command]
    assert f"{FIRST_UID + 1},{FIRST_UID} " in marked


@pytest.mark.parametrize("closes_after", [None, "LOGOUT"])
def test_a_server_need_not_say_goodbye(closes_after: str | None) -> None:
    with opened(ImapServer(closes_after=closes_after)) as folder:
        folder.settle(remove=[str(FIRST_UID)], leave=[])


def test_a_connection_that_is_lost_says_so() -> None:
    server = ImapServer(closes_after="SEARCH")
    with (
        pytest.raises(MailboxUnavailable, match="cannot be read"),
        opened(server) as folder,
    ):
        list(folder.batches())


@pytest.mark.parametrize(("user", "password"), [("bounce", "pässwörd"), ("bücher", "p")])
def test_users_and_passwords_need_not_be_ascii(user: str, password: str) -> None:
    server = ImapServer()
    with opened(server, user, password):
        pass
    assert f"\0{user}\0{password}" in server.told
    refusing = ImapServer(refused=("AUTHENTICATE",))
    with (
        pytest.raises(MailboxUnavailable, match="wrong user or password"),
        opened(refusing, user, password),
    ):
        pass
