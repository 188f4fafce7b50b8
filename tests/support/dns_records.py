"""DNS as a table, for judgements that ask through a function. Whatever is not in it does not exist."""

from collections.abc import Iterable, Mapping

from mailer.doctor.dns.answers import DnsAnswer, DnsStatus, LookUp

Zone = Mapping[tuple[str, str], Iterable[str]]
FAILS = ("!",)
"""As the records of a name whose servers do not answer."""


def answering(zone: Zone) -> LookUp:
    """A function that answers from this table."""
    names = {name for name, _ in zone}

    def look_up(name: str, kind: str) -> DnsAnswer:
        records = tuple(zone.get((name.lower(), kind), ()))
        if records == FAILS:
            return DnsAnswer(DnsStatus.FAILED, error="the resolver does not answer in time")
        if records:
            return DnsAnswer(DnsStatus.FOUND, records)
        return DnsAnswer(DnsStatus.NO_DATA if name in names else DnsStatus.NO_DOMAIN)

    return look_up
