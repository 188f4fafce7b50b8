"""The one tree of errors.

Every error that an operator may meet is a `MailerError`. The class's docstring is the message when
none is given, and every message says what to do next.
"""

from typing import Final

from mailer.text.untrusted import printable_line

LONGEST_FEED_ERROR: Final = 500
"""Characters of an error of a feed that are kept: servers and documents decide what stands in it."""


class MailerError(Exception):
    """Something went wrong; see the log."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class Refused(MailerError):
    """What was asked for cannot be done as it was asked."""


class SettingsError(MailerError):
    """The settings are not valid; `mailer config show` prints them."""


class BadAddress(MailerError):
    """This is no address that mail can be sent to."""


class BadToken(MailerError):
    """This link is not valid; ask for a new one."""


class ExpiredToken(BadToken):
    """This link has expired; ask for a new one."""


class BadSchedule(MailerError):
    """This schedule has no slots; give --at HH:MM or --cron "M H D M W", and --zone."""


class BadTemplate(MailerError):
    """A template cannot be rendered; mend it in the `templates` folder, or remove it there."""


class BadMessage(MailerError):
    """A mail cannot be made from this; shorten or mend the text that is named."""


class MessageTooLong(BadMessage):
    """The HTML of a mail is so long that mail programs cut off its end; shorten the introduction."""


class NeedsSmtputf8(BadMessage):
    """This address has letters that only a relay with SMTPUTF8 takes; use a relay that offers it."""


class FeedError(MailerError):
    """The feed could not be fetched; try `mailer feed refresh` again later."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message and printable_line(message, LONGEST_FEED_ERROR))


class FeedUnreadable(FeedError):
    """The document is no RSS, Atom or JSON Feed; give the address of the feed itself."""


class FeedGone(FeedError):
    """The server says that the feed is gone for good; look for its new address."""


class FeedBusy(FeedError):
    """The server asks to be left alone for a while; it is asked again later.

    `retry_after` is what it said: seconds, or a date as HTTP writes them.
    """

    def __init__(self, message: str, retry_after: str) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchemaError(MailerError):
    """The database has not the current schema; run `mailer db upgrade`."""


class DatabaseUnavailable(MailerError):
    """The database cannot be reached; check `database_url`, then try again."""


class RelayUnavailable(MailerError):
    """The relay cannot be reached; check `smtp_url`, then try again."""


class NotFound(Refused):
    """There is nothing by that name."""


class SeveralFeeds(Refused):
    """The web page names several feeds; give the address of one of them.

    `feeds` are their addresses.
    """

    def __init__(self, message: str, feeds: tuple[str, ...]) -> None:
        super().__init__(message)
        self.feeds = feeds


class AlreadyExists(Refused):
    """There is already one by that name."""
