"""Reads mails from a folder on an IMAP server (RFC 3501), through IMAPClient.

Never marks a mail as read by reading it: after a crash it is still there to be read.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from mailer.bounces.intake.mailbox import BATCH, UnreadMail
from mailer.bounces.reading.mime import LONGEST_READ
from mailer.errors import MailboxUnavailable

_TIMEOUT_SECONDS: Final = 60.0
"""How long the server may take for each answer."""

_UNREAD: Final = ("UNSEEN", "UNDELETED")
_SEARCHED_AT_ONCE: Final = 10_000
"""In so many mails is searched at once: imaplib refuses an answer with more numbers than fit into 1 MB."""

_BODY: Final = f"BODY.PEEK[]<0.{LONGEST_READ}>"
_ANSWERED_BODY: Final = b"BODY[]<0>"
_SEEN: Final = b"\\Seen"


class ImapFolder:
    """A folder on an IMAP server, open for reading and writing."""

    def __init__(self, client: IMAPClient, folder: str, mails: int) -> None:
        self._client = client
        self._folder = folder
        self._mails = mails

    def batches(self) -> Iterator[Sequence[UnreadMail]]:
        """Yield the mails that are neither marked as read nor deleted."""
        with _explained(f"the folder {self._folder!r} cannot be read"):
            unread = [
                int(uid)
                for first in range(1, self._mails + 1, _SEARCHED_AT_ONCE)
                for uid in self._client.search([self._searched_from(first), *_UNREAD])
            ]
        for start in range(0, len(unread), BATCH):
            with _explained(f"the folder {self._folder!r} cannot be read"):
                answer = self._client.fetch(unread[start : start + BATCH], [_BODY])
            # A server may answer with more than was asked for (RFC 3501 section 7.4.2).
            yield [
                UnreadMail(str(uid), item[_ANSWERED_BODY][:LONGEST_READ])
                for uid, item in answer.items()
                if item.get(_ANSWERED_BODY) is not None
            ]

    def _searched_from(self, first: int) -> str:
        last = first + _SEARCHED_AT_ONCE - 1
        return f"{first}:{last if last < self._mails else '*'}"

    def settle(self, *, remove: Sequence[str], leave: Sequence[str]) -> None:
        """Delete some mails, and mark others as read.

        Without UIDPLUS (RFC 4315) the deleted ones are only marked so: to expunge them would also expunge
        what others have marked.

        Raises:
            MailboxUnavailable: the server refuses it, as in a folder that may only be read.
        """
        with _explained(f"mails in the folder {self._folder!r} cannot be removed"):
            # All of them: a server that lets us delete nothing should not give us the same ones for ever.
            self._client.add_flags([int(uid) for uid in (*leave, *remove)], [_SEEN], silent=True)
            if remove:
                uids = [int(uid) for uid in remove]
                self._client.delete_messages(uids, silent=True)
                if self._client.has_capability("UIDPLUS"):
                    self._client.uid_expunge(uids)


@contextmanager
def opened_folder(
    host: str,
    port: int,
    *,
    implicit_tls: bool,
    starttls: bool,
    user: str,
    password: str,
    folder: str,
) -> Iterator[ImapFolder]:
    """Open a folder, for the length of a block.

    Args:
        implicit_tls: begin with TLS.
        starttls: demand TLS after the greeting (RFC 3501 section 6.2.1).

    Raises:
        MailboxUnavailable: the server cannot be reached, is not who it should be, or refuses us.
    """
    context = ssl.create_default_context()
    with _explained(f"the IMAP server {host}:{port} cannot be reached"):
        client = IMAPClient(
            host, port, ssl=implicit_tls, ssl_context=context, timeout=_TIMEOUT_SECONDS
        )
    try:
        with _explained(f"the IMAP server {host}:{port} refuses TLS, login or folder"):
            if starttls:
                client.starttls(context)
            _log_in(client, user, password)
            mails = client.select_folder(folder)[b"EXISTS"]
        yield ImapFolder(client, folder, mails)
    finally:
        _log_out(client)


def _log_in(client: IMAPClient, user: str, password: str) -> None:
    if user.isascii() and password.isascii():
        client.login(user, password)
    else:
        # LOGIN takes ASCII only; this is in UTF-8 (RFC 4616).
        client.plain_login(user, password)


def _log_out(client: Any) -> None:
    try:
        client.logout()
    except (OSError, IMAPClientError):
        # What was done is done, and the server ends the connection by itself.
        with suppress(OSError):
            client.shutdown()


@contextmanager
def _explained(what: str) -> Iterator[None]:
    # The server's own words may hold an address, and are not repeated.
    try:
        yield
    except LoginError as error:
        raise MailboxUnavailable(
            f"{what}: wrong user or password; correct them in bounce_fetch_url"
        ) from error
    except ssl.SSLError as error:
        raise MailboxUnavailable(
            f"{what}: {error.reason or 'TLS failed'}; check its certificate"
        ) from error
    except (OSError, IMAPClientError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise MailboxUnavailable(f"{what} ({reason}); check bounce_fetch_url") from error
