"""Judges the SPF record of the domain that our mail is sent from. Pure: it asks DNS through a function."""

from collections.abc import Iterator
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import LookUp
from mailer.doctor.dns.spf_walk import MOST_LOOK_UPS, MOST_VOID, SpfWalk, walk_spf
from mailer.doctor.finding import ASK_LATER, CheckFinding, DnsRecord, Severity, ok, unchecked
from mailer.text.untrusted import printable_line

_CHECK: Final = "spf"
_LONGEST_SHOWN: Final = 500
_COSTS_SHOWN: Final = 3


def check_spf(
    domain: str, look_up: LookUp, own_address: str | None = None, *, is_envelope: bool = True
) -> list[CheckFinding]:
    """Judge the record of an envelope domain.

    Args:
        own_address: the public address of this machine, if the relay is here and sends from it.
        is_envelope: False if a provider puts a domain of its own in its place; then it may go without.
    """
    walk = walk_spf(domain, look_up)
    if walk.error is None and walk.failed is not None:
        return [
            unchecked(
                _CHECK,
                domain,
                printable_line(walk.failed, _LONGEST_SHOWN),
                ASK_LATER,
            )
        ]
    faults = list(_faults(domain, walk, own_address))
    if walk.record is None and walk.error is None and not is_envelope:
        what = "there is no SPF record; the provider sends with a domain of its own, which has one"
        return [ok(_CHECK, domain, what, "see what the provider asks you to publish")]
    if faults:
        return faults
    covers = "" if own_address is None else f", and allows {own_address}"
    what = (
        f"the SPF record needs {walk.look_ups} of {MOST_LOOK_UPS} look-ups{covers}: "
        f"{printable_line(walk.record or '', _LONGEST_SHOWN)}"
    )
    return [ok(_CHECK, domain, what)]


def suggested_record(domain: str, own_address: str | None) -> DnsRecord:
    """Suggest a record for a domain that has none."""
    if own_address is None:
        return DnsRecord(domain, "TXT", "v=spf1 include:YOUR-PROVIDER ~all")
    family = "ip6" if ":" in own_address else "ip4"
    return DnsRecord(domain, "TXT", f"v=spf1 {family}:{own_address} ~all")


def _faults(domain: str, walk: SpfWalk, own_address: str | None) -> Iterator[CheckFinding]:
    if walk.error is not None:
        yield _broken(domain, walk.error)
        return
    if walk.record is None:
        advice = "publish one; replace YOUR-PROVIDER by the domain that your relay's provider names"
        yield CheckFinding(
            _CHECK,
            domain,
            Severity.PROBLEM,
            "there is no SPF record",
            sender_rules.GOOGLE_SPF_OR_DKIM,
            advice if own_address is None else "publish one",
            suggested_record(domain, own_address),
        )
        return
    if walk.look_ups > MOST_LOOK_UPS:
        yield _too_many(domain, walk)
    if walk.void > MOST_VOID:
        yield CheckFinding(
            _CHECK,
            domain,
            Severity.PROBLEM,
            f"{walk.void} of the hosts that the SPF record names do not exist, and {MOST_VOID} may",
            sender_rules.SPF_LIMITS,
            "remove names from it that are not in DNS any more",
        )
    yield from _about_its_end(domain, walk)
    if walk.has_ptr:
        yield CheckFinding(
            _CHECK,
            domain,
            Severity.WARNING,
            "the SPF record uses ptr, which is slow and which some receivers ignore",
            sender_rules.SPF_SYNTAX,
            "replace it by ip4:, ip6:, a or include:",
        )
    if own_address is not None and not walk.allows(own_address):
        yield CheckFinding(
            _CHECK,
            domain,
            Severity.WARNING,
            f"the SPF record does not allow {own_address}, the address of this machine, where the relay is",
            sender_rules.GOOGLE_SPF_OR_DKIM,
            f"add {suggested_record(domain, own_address).value.split()[1]} to it, unless your relay hands"
            " its mail to another one that the record allows",
        )


def _broken(domain: str, error: str) -> CheckFinding:
    what = f"the SPF record is not valid: {printable_line(error, _LONGEST_SHOWN)}"
    advice = "correct the record; if there are several, merge them into one"
    return CheckFinding(_CHECK, domain, Severity.PROBLEM, what, sender_rules.SPF_SYNTAX, advice)


def _too_many(domain: str, walk: SpfWalk) -> CheckFinding:
    costly = sorted(walk.costs.items(), key=lambda item: -item[1])[:_COSTS_SHOWN]
    shown = ", ".join(f"{printable_line(name, 80)} {cost}" for name, cost in costly)
    advice = "remove what you no longer use, or replace an include by the networks behind it"
    return CheckFinding(
        _CHECK,
        domain,
        Severity.PROBLEM,
        f"the SPF record needs {walk.look_ups} look-ups or more, and {MOST_LOOK_UPS} are allowed"
        + (f" (of these {shown})" if shown else ""),
        sender_rules.SPF_LIMITS,
        advice,
    )


def _about_its_end(domain: str, walk: SpfWalk) -> Iterator[CheckFinding]:
    if walk.final in ("-", "~"):
        return
    if walk.final == "+":
        yield CheckFinding(
            _CHECK,
            domain,
            Severity.PROBLEM,
            "the SPF record ends in +all: it allows the whole world to send as this domain",
            sender_rules.MICROSOFT_ALL_THREE,
            "end it in ~all",
        )
        return
    ends = "ends in ?all" if walk.final == "?" else "does not end in all"
    yield CheckFinding(
        _CHECK,
        domain,
        Severity.WARNING,
        f"the SPF record {ends}, so it says nothing about other senders",
        sender_rules.MICROSOFT_ALL_THREE,
        "end it in ~all",
    )
