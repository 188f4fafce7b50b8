"""Judges whether domains take mail: their MX records and the hosts behind them. Pure.

Look-ups go through the function that it is given.
"""

from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import DnsAnswer, LookUp
from mailer.doctor.finding import ASK_LATER, CheckFinding, DnsRecord, Severity, ok, unchecked
from mailer.text.untrusted import printable_line

_CHECK: Final = "mx"
_HOSTS_CHECKED: Final = 10
_HOSTS_SHOWN: Final = 3


def check_mx(domain: str, used_for: str, look_up: LookUp) -> CheckFinding:
    """Judge whether a domain takes mail.

    Args:
        used_for: whose domain it is, in words, such as "the From address of daily".
    """
    answer = look_up(domain, "MX")
    if answer.failed:
        return _unchecked(domain, answer)
    if not answer.records:
        return _without_mx(domain, used_for, look_up)
    hosts = [record.partition(" ")[2] for record in answer.records]
    if hosts == [""]:
        what = f"a null MX record says that it takes no mail, and it is the domain of {used_for}"
        advice = (
            "publish an MX record that names its mail server, or use an address at another domain"
        )
        return CheckFinding(
            _CHECK, domain, Severity.PROBLEM, what, sender_rules.NULL_MX, advice, _example(domain)
        )
    missing = [
        host for host in hosts[:_HOSTS_CHECKED] if not host or not _has_address(host, look_up)
    ]
    shown = ", ".join(printable_line(host or ".", 80) for host in (missing or hosts)[:_HOSTS_SHOWN])
    if len(missing) == len(hosts[:_HOSTS_CHECKED]):
        what = (
            f"the hosts in its MX records do not exist ({shown}), so mail to {used_for} is returned"
        )
        return CheckFinding(
            _CHECK,
            domain,
            Severity.PROBLEM,
            what,
            sender_rules.MICROSOFT_REPLY,
            "correct the MX records, or add an A or AAAA record for the host",
        )
    if missing:
        what = f"some hosts in its MX records do not exist ({shown})"
        rule = sender_rules.MICROSOFT_REPLY
        return CheckFinding(_CHECK, domain, Severity.WARNING, what, rule, "remove those MX records")
    return ok(_CHECK, domain, f"takes mail for {used_for}, at {shown}")


def _without_mx(domain: str, used_for: str, look_up: LookUp) -> CheckFinding:
    addresses = [look_up(domain, kind) for kind in ("A", "AAAA")]
    rule, record = sender_rules.MICROSOFT_REPLY, _example(domain)
    if any(answer.records for answer in addresses):
        what = (
            f"has no MX record, so mail to {used_for} goes to its web address, and some refuse that"
        )
        advice = "publish an MX record that names its mail server"
        return CheckFinding(_CHECK, domain, Severity.WARNING, what, rule, advice, record)
    for answer in addresses:
        if answer.failed:
            return _unchecked(domain, answer)
    what = f"takes no mail: it has no MX record and no address, and it is the domain of {used_for}"
    advice = (
        "publish an MX record that names its mail server, or use an address that can be answered"
    )
    return CheckFinding(_CHECK, domain, Severity.PROBLEM, what, rule, advice, record)


def _has_address(host: str, look_up: LookUp) -> bool:
    """Tell whether a host has an address; if that cannot be known, it may have."""
    return any(not look_up(host, kind).is_void for kind in ("A", "AAAA"))


def _unchecked(domain: str, answer: DnsAnswer) -> CheckFinding:
    return unchecked(_CHECK, domain, answer.error, ASK_LATER)


def _example(domain: str) -> DnsRecord:
    return DnsRecord(domain, "MX", f"10 mail.{domain}")
