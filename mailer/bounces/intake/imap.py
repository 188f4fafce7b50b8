"""Reads mails from a folder on an IMAP server (RFC 3501), through IMAPClient.

Never marks a mail as read by reading it: after a crash it is still there to be read.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from mailer.bounces.intake.mailbox import BATCH, UnreadMail
from mailer.bounces.reading.mime import LONGEST_READ
from mailer.errors import MailboxUnavailable

_TIMEOUT_SECONDS: Final = 60.0
"""How long the server may take for each answer."""

_UNREAD: Final = ("UNSEEN", "UNDELETED")
_BODY: Final = f"BODY.PEEK[]<0.{LONGEST_READ}>"
_ANSWERED_BODY: Final = b"BODY[]<0>"
_SEEN: Final = b"\\Seen"


class ImapFolder:
    """A folder on an IMAP server, open for reading and writing."""

    def __init__(self, client: IMAPClient, folder: str) -> None:
        self._client = client
        self._folder = folder

    def batches(self) -> Iterator[Sequence[UnreadMail]]:
        """Yield the mails that are neither marked as read nor deleted."""
        with _explained(f"the folder {self._folder!r} cannot be read"):
            unread = [int(uid) for uid in self._client.search(_UNREAD)]
        for start in range(0, len(unread), BATCH):
            with _explained(f"the folder {self._folder!r} cannot be read"):
                answer = self._client.fetch(unread[start : start + BATCH], [_BODY])
            # A server may answer with more than was asked for (RFC 3501 section 7.4.2).
            yield [
                UnreadMail(str(uid), item[_ANSWERED_BODY][:LONGEST_READ])
                for uid, item in answer.items()
                if item.get(_ANSWERED_BODY) is not None
            ]

    def settle(self, *, remove: Sequence[str], leave: Sequence[str]) -> None:
        """Delete some mails, and mark others as read.

        Without UIDPLUS (RFC 4315) the deleted ones are only marked so: to expunge them would also expunge
        what others have marked.

        Raises:
            MailboxUnavailable: the server refuses it, as in a folder that may only be read.
        """
        with _explained(f"mails in the folder {self._folder!r} cannot be removed"):
            if leave:
                self._client.add_flags([int(uid) for uid in leave], [_SEEN], silent=True)
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
            client.login(user, password)
            client.select_folder(folder)
        yield ImapFolder(client, folder)
    finally:
        _log_out(client)


def _log_out(client: Any) -> None:
    try:
        client.logout()
    except (OSError, IMAPClientError):
        # What was done is done, and the server ends the connection by itself.
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
