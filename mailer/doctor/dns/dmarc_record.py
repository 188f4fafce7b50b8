"""Finds the DMARC record that counts for a domain, and the organisation it belongs to (RFC 9989). Pure.

Look-ups go through the function that it is given. Never judges a record: see `mailer.doctor.dns.dmarc`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailer.doctor.dns.answers import LookUp
from mailer.doctor.dns.tags import parse_tags

_VERSION: Final = "DMARC1"
_MOST_LABELS: Final = 8
_LABELS_OF_SECOND: Final = 7
"""From a longer name the walk goes on with so many labels (section 4.10)."""


@dataclass(frozen=True)
class DmarcRecord:
    """A valid record: the domain that it is about, its text and its tags."""

    domain: str
    text: str
    tags: dict[str, str]

    @property
    def is_strict_spf(self) -> bool:
        """Whether the envelope's domain must be the one in From itself."""
        return self.tags.get("aspf", "r").lower() == "s"

    @property
    def is_strict_dkim(self) -> bool:
        """Whether the signature's domain must be the one in From itself."""
        return self.tags.get("adkim", "r").lower() == "s"


@dataclass(frozen=True)
class DmarcWalk:
    """What a walk up the tree found, from a domain to its top.

    Attributes:
        organisation: the organisational domain, within which domains are aligned.
        policy: the record that counts for the domain; None if there is none.
        several: the domains that have more than one record, so that all of them are ignored.
        failed: why a look-up failed, so that the rest is uncertain.
    """

    domain: str
    organisation: str
    policy: DmarcRecord | None
    several: tuple[str, ...] = ()
    failed: str | None = None


def dmarc_walk(domain: str, look_up: LookUp) -> DmarcWalk:
    """Walk up the tree from this domain (RFC 9989 section 4.10)."""
    found: list[DmarcRecord] = []
    several: list[str] = []
    failed = None
    for parent in _parents(domain):
        answer = look_up(f"_dmarc.{parent}", "TXT")
        if answer.failed:
            failed = failed or f"_dmarc.{parent}: {answer.error}"
            continue
        records = [record for record in (_parse(parent, text) for text in answer.records) if record]
        if len(records) > 1:
            several.append(parent)
        elif records:
            found.append(records[0])
            if records[0].tags.get("psd") in ("y", "n"):
                break
    organisation = _organisation(domain, found)
    policy = next(
        (
            record
            for wanted in (domain, organisation)
            for record in found
            if record.domain == wanted
        ),
        None,
    )
    return DmarcWalk(domain, organisation, policy, tuple(several), failed)


def _parents(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    rest = labels[-_LABELS_OF_SECOND:] if len(labels) > _MOST_LABELS else labels[1:]
    while rest:
        yield ".".join(rest)
        rest = rest[1:]


def _parse(domain: str, text: str) -> DmarcRecord | None:
    first, _, _ = text.partition(";")
    name, _, value = first.partition("=")
    if name.strip() != "v" or value.strip() != _VERSION:
        return None
    tags = parse_tags(text)
    if tags is None:
        # Parts that cannot be read are left out, as if they were not there (section 4.7).
        parts = [part for part in text.split(";") if parse_tags(part)]
        tags = parse_tags(";".join(parts)) or {}
    return DmarcRecord(domain, text, tags)


def _organisation(domain: str, found: list[DmarcRecord]) -> str:
    for record in found:
        if record.tags.get("psd") == "n":
            return record.domain
        if record.tags.get("psd") == "y" and record.domain != domain:
            below = len(record.domain.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return found[-1].domain if found else domain
