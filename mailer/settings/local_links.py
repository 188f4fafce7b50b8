"""Checks that the links in mails do not point to this machine only, where readers cannot open them. Pure."""

from urllib.parse import urlsplit

from mailer.errors import Refused
from mailer.settings.parsers import RelayUrl, is_loopback


def are_local(base_url: str) -> bool:
    """Tell whether links that start with `base_url` work on this machine only."""
    return is_loopback(urlsplit(base_url).hostname or "")


def check(base_url: str, relay: RelayUrl) -> None:
    """Refuse to send mails to others if their links, such as the one to unsubscribe, work only here.

    A relay on this machine may be anything, for example a test's, so nothing is refused then.

    Raises:
        Refused: the relay is another machine, and `base_url` is this one.
    """
    if are_local(base_url) and not is_loopback(relay.host):
        raise Refused(
            f"mails would go to {relay.host} with links to {base_url}, which work on this machine only; "
            "set `base_url` to the address that readers see, such as https://newsletter.news.example"
        )
