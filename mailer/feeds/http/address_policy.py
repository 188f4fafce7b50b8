"""Decides which network addresses a fetch may connect to. Pure.

Staff type a feed's address, but what it resolves and redirects to is up to strangers, who must not reach the
machines around us.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_Address = IPv4Address | IPv6Address


def _networks(*names: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, names))


# IPv6 networks whose last 32 bits are an IPv4 address: NAT64 and IPv4-compatible addresses.
_WITH_IPV4: Final = _networks("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
# Python 3.11's `is_global` allows these.
_DENIED: Final = _networks("224.0.0.0/4", "192.88.99.0/24", "240.0.0.0/4", "ff00::/8", "fec0::/10")
# Where clouds give a machine its credentials, on addresses that look private or public. Link-local ones, such
# as 169.254.169.254, are never allowed anyway.
_METADATA: Final = _networks(
    "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::/32"
)
# What `allow_private` opens: private networks, but never link-local addresses.
_PRIVATE: Final = _networks(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
    "::1/128", "fc00::/7",
)  # fmt: skip


def may_connect(address: str, *, allow_private: bool) -> bool:
    """Tell whether a fetch may connect to this IP address.

    Every IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo, compatible) must be allowed too.

    Args:
        allow_private: private networks and loopback are allowed as well.
    """
    try:
        outer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(outer in network for network in _METADATA):
        return False
    if allow_private and any(outer in network for network in _PRIVATE):
        return True
    if inside := _inside(outer):
        return all(may_connect(str(inner), allow_private=allow_private) for inner in inside)
    return outer.is_global and not any(outer in network for network in _DENIED)


def _inside(address: _Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that this IPv6 address may lead to."""
    if isinstance(address, IPv4Address):
        return ()
    if inside := address.ipv4_mapped or address.sixtofour:
        return (inside,)
    if address.teredo is not None:
        return address.teredo
    if any(address in network for network in _WITH_IPV4):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    return ()
