"""Defines all errors that an operator may see, as one tree below `MailerError`.

Pure. The class's docstring is the default message. Every message says what to do next.
"""

from typing import Final

from mailer.text.untrusted import printable_line

LONGEST_FEED_ERROR: Final = 500
"""How many characters of a feed's error are kept: its server or document decides what it says."""


class MailerError(Exception):
    """Something went wrong; see the log."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class Refused(MailerError):
    """This cannot be done as it was requested; see `--help` for what can."""


class SettingsError(MailerError):
    """The settings are not valid; `mailer config show` prints them."""


class BadAddress(MailerError):
    """Mail cannot be sent to this address; check it for typos."""


class BadToken(MailerError):
    """This link is not valid; ask for a new one."""


class ExpiredToken(BadToken):
    """This link has expired; ask for a new one."""


class BadSchedule(MailerError):
    """This schedule has no slots; give --at HH:MM or --cron "M H D M W", and --zone."""


class BadTemplate(MailerError):
    """A template cannot be rendered; correct it in the `templates` folder, or remove it there."""


class BadMessage(MailerError):
    """A mail cannot be made from this; shorten or correct the text that is named."""


class MessageTooLong(BadMessage):
    """The HTML of a mail is too long, so mail programs would cut it off; shorten the introduction."""


class NeedsSmtputf8(BadMessage):
    """This address has letters that need SMTPUTF8; use a relay that supports it."""


class FeedError(MailerError):
    """The feed could not be fetched; try `mailer feed refresh` again later."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message and printable_line(message, LONGEST_FEED_ERROR))


class FeedUnreadable(FeedError):
    """The document is not RSS, Atom or JSON Feed; give the address of the feed itself."""


class FeedGone(FeedError):
    """The server says that the feed is gone permanently; look for its new address."""


class FeedBusy(FeedError):
    """The server asks for fewer requests; the feed is fetched again later.

    `retry_after` is the value of its header: seconds, or a date of HTTP.
    """

    def __init__(self, message: str, retry_after: str) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchemaError(MailerError):
    """The database schema is not current; run `mailer db upgrade`."""


class DatabaseMoved(MailerError):
    """Everything in this database was moved to another one; set `database_url` to that one."""


class DatabaseUnavailable(MailerError):
    """The database cannot be reached; check `database_url`, then try again."""


class MailboxUnavailable(MailerError):
    """The mailbox of returned mail cannot be read; check `bounce_fetch_url`, then try again."""


class NotFound(Refused):
    """Nothing has that name; check its spelling."""


class SeveralFeeds(Refused):
    """The web page names several feeds; give the address of one of them.

    `feeds` are their addresses.
    """

    def __init__(self, message: str, feeds: tuple[str, ...]) -> None:
        super().__init__(message)
        self.feeds = feeds


class AlreadyExists(Refused):
    """That name exists already; choose another."""
