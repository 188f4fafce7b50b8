"""Who the client is, as far as the limits and the consent log need it. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST_USER_AGENT: Final = 300
_THIS_MACHINE: Final = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
_HOP: Final = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""An address as some proxies write it into X-Forwarded-For: with a port, or IPv6 in brackets."""


def client_ip(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> str | None:
    """The client's IP address.

    Every proxy adds the address that it saw to the end of X-Forwarded-For, so the list is read from
    there as long as the addresses are trusted proxies; what stands before may be invented.

    Args:
        peer: who opened the connection.
        forwarded_for: the values of all X-Forwarded-For headers, in their order.
        trusted: the proxies whose word counts.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    found = _address(peer)
    while found is not None and hops and any(found in network for network in trusted):
        named = _address(hops.pop())
        if named is None:
            break
        found = named
    return None if found is None else str(found)


def one_client(address: str | None, trusted: Sequence[Network]) -> str | None:
    """By what connections and requests of one client are counted together.

    None for an address that many clients come from: a trusted proxy, or this machine, where a web server
    may stand in front. An IPv6 client has a whole /64 to itself.
    """
    found = _address(address)
    if found is None or found in _THIS_MACHINE or any(found in network for network in trusted):
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)


def short_user_agent(text: str | None) -> str | None:
    """What the browser says it is, in one short line."""
    kept = "".join(c if c.isprintable() else " " for c in text or "")
    return kept[:_LONGEST_USER_AGENT].strip() or None


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with_port = _HOP.fullmatch(text or "")
    try:
        found = ipaddress.ip_address((with_port[1] or with_port[2]) if with_port else text or "")
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        # A zone is the machine's own matter and would make one network look like many.
        found = ipaddress.IPv6Address(int(found))
        return found.ipv4_mapped or found
    return found
