"""Judges reverse DNS: whether a sending address has a host name that leads back to it. Pure.

Look-ups go through the function that it is given.
"""

import ipaddress
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import LookUp
from mailer.doctor.finding import ASK_LATER, CheckFinding, Severity, ok, unchecked
from mailer.text.untrusted import printable_line

_CHECK: Final = "ptr"
_NAMES_CHECKED: Final = 10
_LONGEST_SHOWN: Final = 100


def check_ptr(address: str, look_up: LookUp, *, is_ours: bool) -> CheckFinding:
    """Judge an address that our mail may leave from.

    Args:
        is_ours: whether it is our own mail server. A provider sends from other addresses than those that its
            relay is reached at, and looks after them.
    """
    parsed = ipaddress.ip_address(address)
    answer = look_up(parsed.reverse_pointer, "PTR")
    if answer.failed:
        return unchecked(_CHECK, address, printable_line(answer.error, _LONGEST_SHOWN), ASK_LATER)
    names = answer.records[:_NAMES_CHECKED]
    kind = "AAAA" if parsed.version == 6 else "A"
    for name in names:
        forward = look_up(name, kind)
        if forward.failed:
            shown = printable_line(forward.error, _LONGEST_SHOWN)
            return unchecked(_CHECK, address, shown, ASK_LATER)
        if any(_is_same(record, parsed) for record in forward.records):
            shown = printable_line(name, _LONGEST_SHOWN)
            return ok(_CHECK, address, f"is {shown} in reverse DNS, which leads back to it")
    if not names:
        what = "has no host name in reverse DNS"
        advice = "ask the provider of the machine to set it to the name of your mail server (PTR)"
    else:
        shown = printable_line(names[0], _LONGEST_SHOWN)
        what = f"is {shown} in reverse DNS, but that name does not lead back to it"
        advice = (
            f"publish an {kind} record for {shown} with {address}, or have the PTR record corrected"
        )
    if is_ours:
        return CheckFinding(
            _CHECK, address, Severity.PROBLEM, what, sender_rules.GOOGLE_PTR, advice
        )
    advice = (
        "nothing, if a provider runs the relay and sends from other addresses; ask there if unsure"
    )
    return CheckFinding(_CHECK, address, Severity.WARNING, what, sender_rules.GOOGLE_PTR, advice)


def public_addresses(host: str, look_up: LookUp) -> list[str]:
    """Return the public addresses of a host, which may be an address itself."""
    try:
        candidates: tuple[str, ...] = (str(ipaddress.ip_address(host)),)
    except ValueError:
        candidates = (*look_up(host, "A").records, *look_up(host, "AAAA").records)
    return [address for address in candidates if ipaddress.ip_address(address).is_global]


def _is_same(record: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(record) == address
    except ValueError:
        return False
