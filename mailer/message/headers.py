"""Decides which headers digests and notices have besides From, To, Subject, Date and MIME's.

Those of a digest are in two parts: the headers that all its readers get, and each reader's own.
"""

import re

from mailer.errors import BadMessage
from mailer.message.header_lines import ATOM, phrase, structured_line, wire_address

Header = tuple[str, str]

READER_HEADERS = ("List-Unsubscribe", "List-Unsubscribe-Post", "X-Mailer-Delivery")

_LIST_ID = re.compile(rf"{ATOM}(?:\.{ATOM})+")
_LONGEST_LIST_ID = 255


def digest_headers(
    *,
    digest_id: int,
    slug: str,
    title: str,
    list_id: str,
    from_address: str,
    help_url: str,
    automatic: bool = True,
) -> tuple[Header, ...]:
    """List the headers that all readers of a digest get.

    Args:
        slug, title, list_id: of the newsletter; `list_id` without angle brackets.
        from_address: its domain names the sender in Feedback-ID, the same in all digests.
        help_url: an https page about changing or ending a subscription.
        automatic: False for a letter that staff wrote by hand (RFC 3834 section 5.2).

    Raises:
        BadMessage: `list_id` is not valid, or the title has control characters.
    """
    return (
        ("List-Id", list_id_value(title, list_id)),
        ("List-Post", "NO"),
        ("List-Help", f"<{help_url}>"),
        *([("Auto-Submitted", "auto-generated")] if automatic else []),
        ("Precedence", "bulk"),
        ("Feedback-ID", f"{digest_id}:{slug}:digest:{_feedback_sender(from_address)}"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("X-Mailer-Digest", str(digest_id)),
    )


def reader_headers(*, delivery_id: int, unsubscribe_url: str, mailto: str | None = None) -> bytes:
    """Write the headers of a digest that are one reader's own: `READER_HEADERS`.

    Args:
        unsubscribe_url: answers a one-click POST (RFC 8058 section 3.1).
        mailto: the URL of an address that does the same when the reader writes to it.

    Raises:
        BadMessage: a URL cannot stand in a header.
    """
    # Without a blank in a URL the line can be folded between the two only (RFC 2369 section 2).
    urls = f"<{unsubscribe_url}>" if mailto is None else f"<{unsubscribe_url}>, <{mailto}>"
    return b"%bList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Mailer-Delivery: %d\r\n" % (
        structured_line("List-Unsubscribe", urls),
        delivery_id,
    )


def notice_headers(*, title: str = "", list_id: str | None = None) -> tuple[Header, ...]:
    """List the headers of a notice; with the newsletter's title and List-Id if it belongs to one.

    Without List-Unsubscribe and Precedence: a notice answers one person's action (RFC 8058 section 1).

    Raises:
        BadMessage: as `digest_headers`.
    """
    return (
        *([] if list_id is None else [("List-Id", list_id_value(title, list_id))]),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
    )


def list_id_value(title: str, list_id: str) -> str:
    """Write the value of List-Id (RFC 2919 section 3), without a title that would make it too long.

    Raises:
        BadMessage: `list_id` is not valid.
    """
    if not _LIST_ID.fullmatch(list_id):
        raise BadMessage(
            f"{list_id!r} is not a List-Id; use a name in your domain: daily.news.example"
        )
    value = f"{phrase(title)} <{list_id}>" if title else f"<{list_id}>"
    return value if len(value) <= _LONGEST_LIST_ID else f"<{list_id}>"


def _feedback_sender(from_address: str) -> str:
    """Make 5 to 15 letters and digits that are the same in all mails of a sender's domain."""
    domain = wire_address(from_address).rpartition("@")[2]
    letters = "".join(letter for letter in domain.lower() if letter.isalnum())
    return letters[:15].ljust(5, "0")
