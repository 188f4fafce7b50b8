"""Judges DMARC: the record of a domain in From, and whether SPF and DKIM are aligned with it. Pure."""

from collections.abc import Iterator
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import LookUp
from mailer.doctor.dns.dmarc_record import DmarcRecord, DmarcWalk
from mailer.doctor.finding import (
    ASK_LATER,
    CheckFinding,
    DnsRecord,
    SenderRule,
    Severity,
    ok,
    unchecked,
)
from mailer.text.untrusted import printable_line

_CHECK: Final = "dmarc"
_ALIGNMENT: Final = "alignment"
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_REMOVED: Final = ("pct", "rf", "ri")
"""Tags of RFC 7489 that RFC 9989 has removed."""
_LONGEST_SHOWN: Final = 300


def check_dmarc(
    walk: DmarcWalk, look_up: LookUp, publish_at: str | None = None
) -> list[CheckFinding]:
    """Judge the record that counts for the domain of a newsletter's From.

    Args:
        publish_at: where a missing record would best be: a domain above that of From if mails are signed or
            sent as that one, because alignment needs a record there.
    """
    domain = walk.domain
    if walk.several:
        where = f"_dmarc.{walk.several[0]}"
        what = f"{where} has several DMARC records, so receivers ignore them all"
        return [_problem(domain, what, "leave only one", sender_rules.DMARC_RECORD)]
    if walk.policy is None:
        if walk.failed is not None:
            return [
                unchecked(_CHECK, domain, printable_line(walk.failed, _LONGEST_SHOWN), ASK_LATER)
            ]
        place = publish_at or domain
        record = DnsRecord(f"_dmarc.{place}", "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{place}")
        advice = "publish one; reports go to rua=, so name a mailbox that exists"
        return [
            _problem(domain, "there is no DMARC record", advice, sender_rules.GOOGLE_DMARC, record)
        ]
    faults = [*_about_policy(domain, walk.policy), *_about_reports(domain, walk.policy, look_up)]
    if faults:
        return faults
    policy = _policy_for(domain, walk.policy) or "none"
    later = "; move to p=quarantine when reports show that all your mail passes"
    return [
        ok(
            _CHECK,
            domain,
            f"the record of {walk.policy.domain} says p={policy}"
            + (later if policy == "none" else ""),
        )
    ]


def check_alignment(
    walk: DmarcWalk,
    envelope: DmarcWalk | None,
    signers: tuple[DmarcWalk, ...],
    *,
    relay_signs: bool,
) -> list[CheckFinding]:
    """Judge whether SPF and DKIM pass for the domain in From, as far as the settings tell.

    Args:
        walk, envelope, signers: of the domains in From, in the envelope, and of our signatures. Without an
            envelope, the relay's provider puts one of its own in place of ours.
        relay_signs: whether the relay signs, so that its domain is not known here.
    """
    policy, domain = walk.policy, walk.domain
    if envelope is None:
        what = "the provider signs and sends with a return address of its own; only a mail shows the rest"
        advice = "send yourself a digest, and run `mailer doctor --eml FILE` on it"
        return [ok(_ALIGNMENT, domain, what, advice)]
    by_spf = is_aligned(walk, envelope, is_strict=policy is not None and policy.is_strict_spf)
    is_strict = policy is not None and policy.is_strict_dkim
    by_dkim = any(is_aligned(walk, signer, is_strict=is_strict) for signer in signers)
    if by_spf and by_dkim:
        return [ok(_ALIGNMENT, domain, "SPF and DKIM are both aligned with the domain in From")]
    if relay_signs and by_spf:
        advice = (
            "to see that DKIM is aligned, send a test mail and run `mailer doctor --eml FILE` on it"
        )
        return [ok(_ALIGNMENT, domain, "SPF is aligned with the domain in From", advice)]
    if by_spf or by_dkim or relay_signs:
        what = _what_is_missing(domain, envelope.domain, by_spf=by_spf, by_dkim=by_dkim)
        above = [one.domain for one in signers if is_at_or_below(domain, one.domain)]
        advice = (
            _how_to_align_dkim(domain, None if is_strict or not above else above[0])
            if by_spf
            else f"set `bounce_address` to an address at {domain} or below it, such as bounce@mail.{domain}"
        )
        return [
            CheckFinding(
                _ALIGNMENT,
                domain,
                Severity.WARNING,
                what,
                sender_rules.GOOGLE_ALIGNMENT,
                advice,
            )
        ]
    what = f"neither SPF (for {envelope.domain}) nor DKIM is aligned with the domain in From"
    advice = (
        f"sign as {domain}, with `dkim_domain` or at the relay, or set a `bounce_address` there"
    )
    return [
        CheckFinding(
            _ALIGNMENT, domain, Severity.PROBLEM, what, sender_rules.GOOGLE_ALIGNMENT, advice
        )
    ]


def _what_is_missing(domain: str, envelope: str, *, by_spf: bool, by_dkim: bool) -> str:
    if by_spf:
        return "only SPF can pass for the domain in From, and SPF fails when mail is forwarded"
    known = "only DKIM can pass" if by_dkim else "only DKIM by the relay may pass"
    return f"{known} for the domain in From: mail is sent from {envelope}, which is not {domain}"


def _how_to_align_dkim(domain: str, signer: str | None) -> str:
    """Say how a signature gets aligned; `signer` is our signing domain, if it is above that of From."""
    if signer is None:
        return f"set `dkim_domain` to {domain}, or let the relay sign as this domain"
    return f"publish a DMARC record at _dmarc.{signer} too, or set `dkim_domain` to {domain}"


def is_aligned(author: DmarcWalk, other: DmarcWalk, *, is_strict: bool) -> bool:
    """Tell whether a domain that passes counts for the one in From.

    Without a record, receivers cannot know the organisation. Then a domain above or below counts as aligned,
    because it will be when the record that `check_dmarc` suggests is published.
    """
    if is_strict:
        return author.domain == other.domain
    if author.policy is None and (
        is_at_or_below(author.domain, other.domain) or is_at_or_below(other.domain, author.domain)
    ):
        return True
    return author.organisation == other.organisation


def is_at_or_below(host: str, domain: str) -> bool:
    """Tell whether a host is this domain, or one below it."""
    return host == domain or host.endswith(f".{domain}")


def _policy_for(domain: str, record: DmarcRecord) -> str | None:
    """Return the policy for a domain by the record that counts for it; None if it names none."""
    tag = "p" if domain == record.domain or "sp" not in record.tags else "sp"
    value = record.tags.get(tag)
    return None if value is None else value.lower()


def _about_policy(domain: str, record: DmarcRecord) -> Iterator[CheckFinding]:
    policy = _policy_for(domain, record)
    if policy is None:
        what = "the DMARC record names no policy: p= is missing, and some receivers then ignore it"
        yield _warning(domain, what, "add p=none behind v=DMARC1;", _with(record, "p=none"))
    elif policy not in _POLICIES:
        shown = printable_line(policy, 30)
        what = f"the DMARC record's policy is {shown!r}, which must be none, quarantine or reject"
        yield _problem(domain, what, "correct p= and sp=", sender_rules.DMARC_RECORD)
    for tag in ("adkim", "aspf"):
        if record.tags.get(tag, "r").lower() not in ("r", "s"):
            yield _warning(
                domain, f"{tag}= is neither r nor s, so it is ignored", f"correct {tag}="
            )
    if record.tags.get("t", "n").lower() == "y":
        yield _warning(
            domain,
            "the policy is only being tested (t=y)",
            "remove t=y when reports show no failures",
        )
    if removed := [tag for tag in _REMOVED if tag in record.tags]:
        names = ", ".join(f"{tag}=" for tag in removed)
        yield _warning(
            domain, f"{names} no longer counts: RFC 9989 has removed it", f"remove {names}"
        )


def _about_reports(domain: str, record: DmarcRecord, look_up: LookUp) -> Iterator[CheckFinding]:
    uris = [uri.strip() for uri in record.tags.get("rua", "").split(",") if uri.strip()]
    if not uris:
        advice = "add rua=mailto: and a mailbox that exists, so that you see who sends as you"
        what = "nobody gets DMARC reports: rua= is missing"
        rule = sender_rules.DMARC_REPORTS
        yield CheckFinding(_CHECK, domain, Severity.WARNING, what, rule, advice)
    for uri in uris[:5]:
        address, _, _ = uri.partition("!")
        scheme, _, mailbox = address.partition(":")
        host = mailbox.rpartition("@")[2].lower().rstrip(".")
        if scheme.lower() != "mailto" or not host or "@" not in mailbox:
            shown = printable_line(uri, 80)
            yield _warning(
                domain, f"rua= holds {shown!r}, which is no mailto: address", "correct rua="
            )
        elif not is_at_or_below(host, record.domain):
            yield from _about_foreign_report(domain, record.domain, host, look_up)


def _about_foreign_report(
    domain: str, of: str, host: str, look_up: LookUp
) -> Iterator[CheckFinding]:
    """Judge reports that go to another organisation, which must agree (RFC 9990 section 3)."""
    name = f"{of}._report._dmarc.{host}"
    answer = look_up(name, "TXT")
    if answer.is_void or (answer.records and not any(_says_dmarc(text) for text in answer.records)):
        shown = printable_line(host, 80)
        what = f"DMARC reports to {shown} are not sent: that domain does not say that it wants them"
        advice = f"use a mailbox of {of}, or have this published there"
        yield _warning(domain, what, advice, DnsRecord(name, "TXT", "v=DMARC1;"))


def _says_dmarc(text: str) -> bool:
    return text.replace(" ", "").startswith("v=DMARC1")


def _with(record: DmarcRecord, tag: str) -> DnsRecord:
    rest = record.text.partition(";")[2].strip()
    text = f"v=DMARC1; {tag}" + (f"; {rest}" if rest else "")
    return DnsRecord(f"_dmarc.{record.domain}", "TXT", text)


def _problem(
    domain: str, what: str, do: str, rule: SenderRule, record: DnsRecord | None = None
) -> CheckFinding:
    return CheckFinding(_CHECK, domain, Severity.PROBLEM, what, rule, do, record)


def _warning(domain: str, what: str, do: str, record: DnsRecord | None = None) -> CheckFinding:
    return CheckFinding(
        _CHECK, domain, Severity.WARNING, what, sender_rules.DMARC_RECORD, do, record
    )
