"""Judges DKIM keys that are published in DNS: those of our selectors, and others (RFC 6376). Pure.

Never verifies a signature.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import DnsAnswer
from mailer.doctor.dns.tags import parse_tags
from mailer.doctor.finding import ASK_LATER, CheckFinding, DnsRecord, Severity, ok, unchecked
from mailer.text.untrusted import printable_line

_CHECK: Final = "dkim"
_SHORTEST: Final = 1024
_ADVISED: Final = 2048
_LONGEST_SHOWN: Final = 200
_SEQUENCE, _INTEGER, _BIT_STRING = 0x30, 0x02, 0x03
_SHORTEST_KEY_BYTES: Final = 100


@dataclass(frozen=True)
class PublishedKey:
    """Where the record of a signature's key stands.

    Attributes:
        ours: the value that it must have; None if the key is the relay's.
    """

    selector: str
    domain: str
    ours: str | None = None

    @property
    def name(self) -> str:
        """The name of the record."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> DnsRecord | None:
        """The record to publish, if the key is ours."""
        return None if self.ours is None else DnsRecord(self.name, "TXT", self.ours)


def check_dkim_key(key: PublishedKey, answer: DnsAnswer) -> list[CheckFinding]:
    """Judge what DNS answered for the TXT records of `key.name`."""
    if answer.failed:
        return [
            unchecked(_CHECK, key.name, printable_line(answer.error, _LONGEST_SHOWN), ASK_LATER)
        ]
    if not answer.records:
        what = "the public key is not in DNS, so signatures fail"
        return [_fault(key, what, "publish it")]
    faults = list(_faults(key, answer.records))
    if faults:
        return faults
    kind, bits = _kind_and_bits(parse_tags(answer.records[0]) or {})
    length = "" if bits is None else f", {bits} bits"
    whose = "can be used" if key.ours is None else "is ours"
    return [ok(_CHECK, key.name, f"the published key {whose} ({kind}{length})")]


def _faults(key: PublishedKey, records: tuple[str, ...]) -> Iterator[CheckFinding]:
    if len(records) > 1:
        what = f"there are {len(records)} TXT records, and receivers may use the wrong one"
        yield _fault(key, what, "leave only the right one")
        return
    tags = parse_tags(records[0])
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        shown = printable_line(records[0], _LONGEST_SHOWN)
        yield _fault(key, f"the record is no DKIM key: {shown!r}", "publish the key instead")
        return
    yield from _about_key(key, tags)
    yield from _about_flags(key, tags)


def _about_key(key: PublishedKey, tags: dict[str, str]) -> Iterator[CheckFinding]:
    ours = parse_tags(key.ours or "") or {}
    kind, our_kind = _kind(tags), _kind(ours)
    if not tags["p"].strip():
        what = "the key is revoked: p= is empty"
        yield _fault(key, what, "publish the key again, or sign with another selector")
    elif _bytes(tags["p"]) is None:
        yield _fault(
            key, "the key in p= cannot be read; it may be cut off", "publish the whole key"
        )
    elif key.ours is not None and kind != our_kind:
        shown = printable_line(kind, 20)
        yield _fault(key, f"the record says k={shown}, and our key is {our_kind}", "correct it")
    elif key.ours is not None and not _is_same(tags["p"], ours.get("p", "")):
        yield _fault(key, "the published key is another one, so signatures fail", "correct it")
    else:
        yield from _about_length(key, _kind_and_bits(tags)[1])


def _about_flags(key: PublishedKey, tags: dict[str, str]) -> Iterator[CheckFinding]:
    hashes = _words(tags.get("h"))
    if hashes and "sha256" not in hashes:
        yield _fault(
            key, "the record forbids sha256 (h=), which mails are signed with", "remove h="
        )
    services = _words(tags.get("s"))
    if services and not services & {"*", "email"}:
        yield _fault(key, "the record is not for mail (s=)", "remove s=")
    if "y" in _words(tags.get("t")):
        what = "the record says that DKIM is being tested (t=y), so receivers may ignore signatures"
        rule, advice = sender_rules.DKIM_KEY, "remove t=y when test mails pass"
        yield CheckFinding(_CHECK, key.name, Severity.WARNING, what, rule, advice)


def _about_length(key: PublishedKey, bits: int | None) -> Iterator[CheckFinding]:
    if bits is None or bits >= _ADVISED:
        return
    severity = Severity.PROBLEM if bits < _SHORTEST else Severity.WARNING
    advice = "sign with a longer key under another selector"
    rule = sender_rules.GOOGLE_KEY_LENGTH
    yield CheckFinding(_CHECK, key.name, severity, f"the key has {bits} bits", rule, advice)


def _fault(key: PublishedKey, what: str, do: str) -> CheckFinding:
    rule = sender_rules.DKIM_KEY
    return CheckFinding(_CHECK, key.name, Severity.PROBLEM, what, rule, do, key.record)


def _kind(tags: dict[str, str]) -> str:
    return tags.get("k", "rsa").lower()


def _kind_and_bits(tags: dict[str, str]) -> tuple[str, int | None]:
    kind = _kind(tags)
    public = _bytes(tags.get("p", ""))
    return kind, rsa_bits(public) if kind == "rsa" and public else None


def _words(value: str | None) -> set[str]:
    return {word.strip().lower() for word in (value or "").split(":") if word.strip()}


def _is_same(published: str, ours: str) -> bool:
    """Compare two keys. An RSA key may be published without the envelope that names its algorithm."""
    one, other = _bytes(published), _bytes(ours)
    if one is None or other is None:
        return False
    return one == other or (len(one) > _SHORTEST_KEY_BYTES and other.endswith(one))


def _bytes(text: str) -> bytes | None:
    letters = "".join(text.split())
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def rsa_bits(public: bytes) -> int | None:
    """Read the length of an RSA key from its DER, with or without its envelope; None if it is none."""
    body = _content(public, _SEQUENCE)
    if body is None:
        return None
    modulus = _content(body, _INTEGER)
    if modulus is None:
        # SubjectPublicKeyInfo: the algorithm, then the key in a string of bits.
        algorithm = _content(body, _SEQUENCE)
        if algorithm is None:
            return None
        bits = _content(body[_whole_length(body, len(algorithm)) :], _BIT_STRING)
        key = None if bits is None else _content(bits[1:], _SEQUENCE)
        modulus = None if key is None else _content(key, _INTEGER)
    return None if modulus is None else int.from_bytes(modulus, "big").bit_length()


def _content(data: bytes, tag: int) -> bytes | None:
    """Return what the first value in some DER holds, if it has this tag and is complete."""
    if len(data) < 2 or data[0] != tag:
        return None
    head = _head_length(data)
    length = data[1] if head == 2 else int.from_bytes(data[2:head], "big")
    content = data[head : head + length]
    return content if len(content) == length else None


def _head_length(data: bytes) -> int:
    return 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)


def _whole_length(data: bytes, content: int) -> int:
    return _head_length(data) + content
