"""Who made a request, as the consent log remembers it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """Where a request came from: a page or a command, and for pages the client's address.

    Args:
        source: the page's path without a token, or the command.
        user_agent: what the browser says it is, cut to a sane length.
    """

    source: str
    ip: str | None = None
    user_agent: str | None = None
