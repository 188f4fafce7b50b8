"""Walks through an SPF record and all that it includes, and counts look-ups as receivers do.

Pure: look-ups go through the function that it is given. It goes through every mechanism, as a receiver does
whose sender matches none before the end, so it counts the most that any mail can cost.
"""

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Final

from mailer.doctor.dns.answers import DnsAnswer, LookUp
from mailer.doctor.dns.spf_record import BadSpf, SpfNetwork, SpfTerm, parse_spf, spf_records

MOST_LOOK_UPS: Final = 10
MOST_VOID: Final = 2
MOST_HOSTS_OF_MX: Final = 10
_MOST_WALKED: Final = 40
"""Counting goes on beyond the limit, so that people see by how much; not for ever."""
_COUNTED: Final = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})


@dataclass
class SpfWalk:
    """What was found on the way.

    Attributes:
        record: of the domain itself; None if there is none.
        look_ups, void: as RFC 7208 section 4.6.4 counts them.
        costs: what each include costs, with all that it includes.
        networks: from which the mechanisms allow mail, as far as they can be known beforehand.
        error: why receivers fail with "permerror".
        failed: what could not be looked up, so that the rest is uncertain.
        final: the qualifier of "all" that ends it; None if nothing does.
        has_ptr: whether it uses ptr, which is slow and discouraged.
    """

    record: str | None = None
    look_ups: int = 0
    void: int = 0
    costs: dict[str, int] = field(default_factory=dict)
    networks: list[SpfNetwork] = field(default_factory=list)
    error: str | None = None
    failed: str | None = None
    final: str | None = None
    has_ptr: bool = False

    def allows(self, address: str) -> bool:
        """Tell whether the mechanisms that can be known beforehand allow mail from this IP address."""
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.networks)


def walk_spf(domain: str, look_up: LookUp) -> SpfWalk:
    """Walk through the record of this domain."""
    walk = SpfWalk()
    walker = _Walker(walk, look_up)
    terms = walker.terms_of(domain, is_first=True)
    if terms is not None:
        walk.final = walker.follow(domain, terms, (domain,))
    return walk


class _Walker:
    def __init__(self, walk: SpfWalk, look_up: LookUp) -> None:
        self._walk = walk
        self._look_up = look_up

    def terms_of(self, domain: str, *, is_first: bool = False) -> list[SpfTerm] | None:
        """Read the record of a domain; None if it has no usable one, which is then noted."""
        answer = self._look_up(domain, "TXT")
        if answer.failed:
            self._fail(domain, answer)
            return None
        records = spf_records(answer.records)
        if not records:
            if not is_first:
                self._error(f"{domain}, which it names, has no SPF record")
            return None
        if is_first:
            self._walk.record = records[0]
        if len(records) > 1:
            self._error(f"{domain} has {len(records)} SPF records, and only one is allowed")
            return None
        try:
            return parse_spf(records[0])
        except BadSpf as error:
            self._error(f"in the record of {domain}, {error}")
            return None

    def follow(self, domain: str, terms: list[SpfTerm], path: tuple[str, ...]) -> str | None:
        """Walk through the terms of a domain's record. Return the qualifier of its "all"."""
        walk = self._walk
        for term in terms:
            if term.name in ("redirect", "exp"):
                continue
            if term.name == "all":
                # Nothing behind it counts, not even a redirect (RFC 7208 section 5.1).
                return term.qualifier
            before = walk.look_ups
            self._mechanism(domain, term, path)
            if len(path) == 1 and term.name == "include" and term.domain:
                walk.costs[term.domain] = walk.look_ups - before
            if walk.look_ups >= _MOST_WALKED:
                return None
        target = next((term for term in terms if term.name == "redirect"), None)
        return None if target is None else self._branch(target, path)

    def _mechanism(self, domain: str, term: SpfTerm, path: tuple[str, ...]) -> None:
        walk = self._walk
        if term.network is not None:
            if term.qualifier == "+":
                walk.networks.append(term.network)
        elif term.name == "include":
            self._branch(term, path)
        elif term.name in _COUNTED:
            walk.look_ups += 1
            walk.has_ptr = walk.has_ptr or term.name == "ptr"
            # What exists and ptr ask depends on the mail.
            if term.name in ("a", "mx") and not term.has_macro:
                named = replace(term, domain=term.domain or domain)
                self._hosts_of_mx(named) if term.name == "mx" else self._addresses(named)

    def _branch(self, term: SpfTerm, path: tuple[str, ...]) -> str | None:
        """Go into an include or redirect."""
        self._walk.look_ups += 1
        domain = term.domain or ""
        if term.has_macro:
            return None
        if domain in path:
            self._error(f"{domain} includes itself")
            return None
        terms = self.terms_of(domain)
        return None if terms is None else self.follow(domain, terms, (*path, domain))

    def _addresses(self, term: SpfTerm) -> None:
        domain = term.domain or ""
        if not self._add_addresses(domain, term):
            self._walk.void += 1

    def _hosts_of_mx(self, term: SpfTerm) -> None:
        domain = term.domain or ""
        answer = self._look_up(domain, "MX")
        if answer.failed:
            self._fail(domain, answer)
        elif answer.is_void:
            self._walk.void += 1
        hosts = [record.partition(" ")[2] for record in answer.records]
        if len(hosts) > MOST_HOSTS_OF_MX:
            self._error(f"mx:{domain} stands for {len(hosts)} hosts, and {MOST_HOSTS_OF_MX} count")
        for host in hosts[:MOST_HOSTS_OF_MX]:
            if host and not self._add_addresses(host, term):
                self._walk.void += 1

    def _add_addresses(self, host: str, term: SpfTerm) -> bool:
        """Allow the addresses of a host; False if DNS says that it has none."""
        answers = [self._look_up(host, kind) for kind in ("A", "AAAA")]
        for answer, prefix in zip(answers, term.prefixes, strict=True):
            if answer.failed:
                self._fail(host, answer)
            for record in answer.records:
                try:
                    network = ipaddress.ip_network(f"{record}/{prefix}", strict=False)
                except ValueError:
                    continue
                if term.qualifier == "+":
                    self._walk.networks.append(network)
        return not all(answer.is_void for answer in answers)

    def _error(self, text: str) -> None:
        self._walk.error = self._walk.error or text

    def _fail(self, name: str, answer: DnsAnswer) -> None:
        self._walk.failed = self._walk.failed or f"{name}: {answer.error}"
