"""Whether the links in mails lead anywhere for those who get the mails. Pure."""

from urllib.parse import urlsplit

from mailer.errors import Refused
from mailer.settings.forms import RelayUrl, is_loopback


def lead_nowhere(base_url: str) -> bool:
    """Whether links that start with `base_url` work on this machine only."""
    return is_loopback(urlsplit(base_url).hostname or "")


def check(base_url: str, relay: RelayUrl) -> None:
    """Refuse to send mails to others whose links, the one to unsubscribe among them, work here only.

    A relay on this machine may be anything, such as a test's, so that nothing is refused then.

    Raises:
        Refused: the relay is another machine, and `base_url` is this one.
    """
    if lead_nowhere(base_url) and not is_loopback(relay.host):
        raise Refused(
            f"mails would go to {relay.host} with links to {base_url}, which work on this machine only; "
            "set `base_url` to the address that readers see, such as https://newsletter.news.example"
        )
