"""Finds a client's IP address behind proxies, and shortens its user agent. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST_USER_AGENT: Final = 300
_THIS_MACHINE: Final = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
_HOP: Final = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""An address as some proxies write it into X-Forwarded-For: with a port, or IPv6 in brackets."""


def client_ip(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> str | None:
    """Return the client's IP address.

    Every proxy adds the address that it saw to the end of X-Forwarded-For. So the list is read from the
    end for as long as the addresses are trusted proxies; what stands before may be invented.

    Args:
        peer: who opened the connection.
        forwarded_for: the values of all X-Forwarded-For headers, in their order.
        trusted: the proxies whose X-Forwarded-For counts.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    client = _address(peer)
    while client is not None and hops and any(client in network for network in trusted):
        hop = _address(hops.pop())
        if hop is None:
            break
        client = hop
    return None if client is None else str(client)


def single_client(ip: str | None, trusted: Sequence[Network]) -> str | None:
    """Return the name under which the connections and requests of one client are counted.

    It is None if many clients may share the address: a trusted proxy's, or this machine's, where a web
    server may stand in front. An IPv6 client has a whole /64 to itself.
    """
    address = _address(ip)
    if (
        address is None
        or address in _THIS_MACHINE
        or any(address in network for network in trusted)
    ):
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)


def short_user_agent(text: str | None) -> str | None:
    """Return what the browser calls itself as one short line."""
    line = "".join(c if c.isprintable() else " " for c in text or "")
    return line[:_LONGEST_USER_AGENT].strip() or None


# A request's address is asked for three times: for its place, its limits and its consent.
@lru_cache(maxsize=1024)
def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    hop = _HOP.fullmatch(text or "")
    try:
        address = ipaddress.ip_address((hop[1] or hop[2]) if hop else text or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # A zone means something on its own machine only, and would make one network look like many.
        address = ipaddress.IPv6Address(int(address))
        return address.ipv4_mapped or address
    return address
