"""Parses `bounce_fetch_url`: the mailbox in which returned mail arrives. Pure: never opens it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from mailer.settings.parsers import Secret, is_loopback

_VALID: Final = "must be imaps://USER:PASSWORD@HOST/FOLDER or maildir:/PATH"
_MAILDIR: Final = "maildir:"


@dataclass(frozen=True)
class MaildirPath:
    """A Maildir on this machine."""

    path: Path


@dataclass(frozen=True)
class ImapUrl:
    """A folder on an IMAP server.

    Attributes:
        implicit_tls: whether the connection begins with TLS, as on port 993.
        starttls: whether TLS is demanded after the greeting.
    """

    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    user: str
    password: Secret
    folder: str


MailboxUrl = MaildirPath | ImapUrl


def parse(text: str) -> MailboxUrl:
    """Parse `maildir:/path`, `imaps://…`, or `imap://…` with STARTTLS.

    Without encryption only to this machine, or with `?tls=none`.

    Raises:
        ValueError: says what would be valid.
    """
    if text.startswith(_MAILDIR):
        path = Path(text.removeprefix(_MAILDIR))
        if not path.is_absolute() or "\0" in text:
            raise ValueError("must be maildir: and an absolute path, such as maildir:/srv/bounces")
        return MaildirPath(path)
    if text.startswith("pop3"):
        raise ValueError(f"{_VALID}; POP3 is not supported")
    with _failing_with(_VALID):
        url = urlsplit(text)
        is_implicit = {"imaps": True, "imap": False}[url.scheme]
        host, user, password = url.hostname, url.username, url.password
        if not host or not user or password is None or url.fragment:
            raise ValueError
        if url.query not in ("", "tls=none") or (is_implicit and url.query):
            raise ValueError
        return ImapUrl(
            host=host,
            port=url.port or (993 if is_implicit else 143),
            implicit_tls=is_implicit,
            starttls=not (is_implicit or url.query or is_loopback(host)),
            user=_unquoted(user),
            password=Secret(_unquoted(password)),
            folder=_unquoted(url.path.strip("/")) or "INBOX",
        )


def _unquoted(text: str) -> str:
    plain = unquote(text, errors="strict")
    if not plain.isprintable():
        raise ValueError
    return plain


@contextmanager
def _failing_with(message: str) -> Iterator[None]:
    # Any other error would repeat parts of the URL, and with them the password.
    try:
        yield
    except (ValueError, KeyError) as error:
        raise ValueError(message) from error
