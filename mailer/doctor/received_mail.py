"""Judges a mail of ours as it was received: what the relay made of it, and what the receiver says. Pure.

Look-ups go through the function that it is given. Never verifies a signature: the receiver did, and says
so in Authentication-Results.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.dns.answers import LookUp
from mailer.doctor.dns.dkim_key import PublishedKey, check_dkim_key
from mailer.doctor.dns.dmarc import is_aligned
from mailer.doctor.dns.dmarc_record import dmarc_walk
from mailer.doctor.dns.tags import parse_tags
from mailer.doctor.finding import CheckFinding, SenderRule, Severity, ok
from mailer.lint.parse import Part, parse_mail
from mailer.text.untrusted import printable_line

_LARGEST: Final = 5_000_000
_LONGEST_VALUE: Final = 10_000
_MOST_SIGNATURES: Final = 10
_SIGNED_ALWAYS: Final = ("from", "to", "subject", "date")
_ONE_CLICK: Final = ("list-unsubscribe", "list-unsubscribe-post")
_RESULT: Final = re.compile(r"(spf|dkim|dmarc)[ ]?=[ ]?([a-z]+)")
_OUR_MESSAGE_ID: Final = re.compile(r"<[a-z][0-9]{1,20}\.[0-9a-f]{32}@")
_HOW_TO_COVER: Final = (
    "add it at the relay: `SignHeaders *,+list-unsubscribe-post` in OpenDKIM, `dkim_sign_headers` in Exim;"
    " otherwise ask its provider"
)
_MEANS: Final = {
    "spf": sender_rules.GOOGLE_SPF_OR_DKIM,
    "dkim": sender_rules.GOOGLE_SPF_OR_DKIM,
    "dmarc": sender_rules.GOOGLE_DMARC,
}
_UNKNOWN: Final = frozenset({"temperror", "neutral", "none"})


@dataclass(frozen=True)
class _Signature:
    domain: str
    headers: frozenset[str]
    tags: dict[str, str]


def judge_received_mail(
    raw: bytes, look_up: LookUp, *, bounce_domain: str | None, has_webhooks: bool = False
) -> list[CheckFinding]:
    """Judge a mail.

    Args:
        raw: as the receiver's mail program saves it, with all headers.
        bounce_domain: the domain of `bounce_address`, if it is set.
        has_webhooks: whether a provider reports what is returned; then it may replace what names the mail.
    """
    mail = parse_mail(raw[:_LARGEST])
    domain = _from_domain(mail)
    if domain is None:
        what = "the file holds no mail with one From header"
        advice = (
            "save the whole mail, with its headers (in Gmail: Show original, Download original)"
        )
        return [CheckFinding("mail", "", Severity.PROBLEM, what, do=advice)]
    findings = [
        *_about_one_click(mail),
        *_about_signatures(mail, domain, look_up),
        *_about_results(mail, domain),
        *([] if has_webhooks else _about_envelope(mail, bounce_domain)),
    ]
    if not any(finding.severity is Severity.PROBLEM for finding in findings):
        findings.append(ok("mail", domain, "nothing on the way has done harm to this mail"))
    return findings


def _from_domain(mail: Part) -> str | None:
    fields = mail.get_all("from")
    if len(fields) != 1:
        return None
    address = parseaddr(fields[0].value[:1000])[1]
    domain = address.rpartition("@")[2].strip().lower().rstrip(".")
    return printable_line(domain, 253) or None


def _about_one_click(mail: Part) -> Iterator[CheckFinding]:
    has = [bool(mail.get_all(name)) for name in _ONE_CLICK]
    if all(has):
        yield ok("one-click", "", "the mail has List-Unsubscribe and List-Unsubscribe-Post")
    elif mail.get_all("x-mailer-digest"):
        what = "List-Unsubscribe or List-Unsubscribe-Post is missing, so something on the way removed it"
        advice = "ask the relay's provider to leave these headers as they are"
        yield _problem("one-click", "", what, advice, sender_rules.YAHOO_ONE_CLICK)
    else:
        what = "this is no digest, so it has no unsubscribe headers to check"
        advice = "subscribe with an address of your own, and check a digest that arrives there"
        yield CheckFinding("one-click", "", Severity.WARNING, what, do=advice)


def _signatures(mail: Part) -> Iterator[_Signature]:
    for field in mail.get_all("dkim-signature")[:_MOST_SIGNATURES]:
        tags = parse_tags("".join(field.value[:_LONGEST_VALUE].split())) or {}
        names = frozenset(name.lower() for name in tags.get("h", "").split(":") if name)
        yield _Signature(tags.get("d", "").lower().rstrip("."), names, tags)


def _about_signatures(mail: Part, domain: str, look_up: LookUp) -> Iterator[CheckFinding]:
    signatures = list(_signatures(mail))
    if not signatures:
        advice = "let the relay sign and set `relay_signs_dkim`, or sign here (`mailer dkim new`)"
        yield _problem(
            "dkim",
            domain,
            "the mail has no DKIM signature",
            advice,
            sender_rules.GOOGLE_SPF_OR_DKIM,
        )
        return
    author = dmarc_walk(domain, look_up)
    is_strict = author.policy is not None and author.policy.is_strict_dkim
    aligned = [
        signature
        for signature in signatures
        if signature.domain
        and is_aligned(author, dmarc_walk(signature.domain, look_up), is_strict=is_strict)
    ]
    if not aligned:
        signers = ", ".join(printable_line(one.domain, 80) or "nobody" for one in signatures)
        what = f"it is signed by {signers}, which is not aligned with {domain} in From"
        advice = (
            f"set up DKIM for {domain} at the relay's provider, or sign here (`mailer dkim new`)"
        )
        yield _problem("dkim", domain, what, advice, sender_rules.GOOGLE_ALIGNMENT)
        return
    faults = [fault for signature in aligned for fault in _faults(signature, mail)]
    # One good signature is enough.
    if faults and all(list(_faults(signature, mail)) for signature in aligned):
        yield from faults
        return
    names = ", ".join(dict.fromkeys(printable_line(one.domain, 80) for one in aligned))
    yield ok("dkim", domain, f"the signature of {names} covers what it must")
    for signature in aligned:
        key = PublishedKey(printable_line(signature.tags.get("s", ""), 100), signature.domain)
        yield from check_dkim_key(key, look_up(key.name, "TXT"))


def _faults(signature: _Signature, mail: Part) -> Iterator[CheckFinding]:
    name = printable_line(signature.domain, 80)
    # A header that is signed and not there is fine: nobody can add it later.
    missing = [one for one in _ONE_CLICK if mail.get_all(one) and one not in signature.headers]
    if missing:
        what = f"the signature of {name} does not cover {' and '.join(missing)}"
        yield _problem("dkim", name, what, _HOW_TO_COVER, sender_rules.DKIM_ONE_CLICK)
    bare = [one for one in _SIGNED_ALWAYS if one not in signature.headers]
    if bare:
        what = f"the signature of {name} does not cover {' and '.join(bare)}"
        yield _problem("dkim", name, what, "sign these headers too", sender_rules.DKIM_KEY)
    if "l" in signature.tags:
        what = f"the signature of {name} covers only the beginning of the mail (l=)"
        yield _problem("dkim", name, what, "sign the whole mail", sender_rules.DKIM_KEY)
    if signature.tags.get("a", "").lower().endswith("sha1"):
        what = f"the signature of {name} uses sha1, which receivers reject"
        yield _problem("dkim", name, what, "sign with rsa-sha256", sender_rules.DKIM_KEY)


def _about_results(mail: Part, domain: str) -> Iterator[CheckFinding]:
    fields = mail.get_all("authentication-results")
    if not fields:
        what = "the receiving server says nothing about SPF, DKIM and DMARC (no Authentication-Results)"
        advice = "send it to a mailbox at Gmail, Outlook.com or Yahoo, and save it there"
        yield CheckFinding("mail", domain, Severity.WARNING, what, do=advice)
        return
    # The uppermost is by the server that received it; others may be forged.
    found: dict[str, set[str]] = {}
    for method, result in _RESULT.findall(fields[0].value[:_LONGEST_VALUE].lower()):
        found.setdefault(method, set()).add(result)
    for method, results in found.items():
        if "pass" in results:
            yield ok(method, domain, f"{method.upper()} passed where the mail was received")
            continue
        result = sorted(results)[0]
        yield CheckFinding(
            method,
            domain,
            Severity.WARNING if result in _UNKNOWN else Severity.PROBLEM,
            f"{method.upper()} did not pass where the mail was received: {printable_line(result, 30)}",
            _MEANS[method],
            "run `mailer doctor`, which checks the records",
        )


def _about_envelope(mail: Part, bounce_domain: str | None) -> Iterator[CheckFinding]:
    path = printable_line((mail.value("return-path") or "").strip()[:1000])
    if bounce_domain is not None and path:
        domain = path.strip("<> ").rpartition("@")[2].lower().rstrip(".")
        if domain == bounce_domain:
            yield ok("bounces", domain, "returned mails come to `bounce_address`")
        else:
            shown = printable_line(domain, 80) or "nobody"
            what = f"the relay has replaced our envelope sender: returned mails go to {shown}"
            advice = (
                "turn that off at the relay's provider, or let it report bounces (`webhook_keys`)"
            )
            yield CheckFinding(
                "bounces", domain, Severity.WARNING, what, sender_rules.YAHOO_BOUNCES, advice
            )
    if mail.get_all("x-mailer-delivery") and not _OUR_MESSAGE_ID.match(
        (mail.value("message-id") or "").strip()
    ):
        what = "the relay has replaced our Message-ID, by which returned mails are recognised"
        advice = "turn that off at the relay's provider, or let it report bounces (`webhook_keys`)"
        yield CheckFinding(
            "bounces", "", Severity.WARNING, what, sender_rules.YAHOO_BOUNCES, advice
        )


def _problem(check: str, subject: str, what: str, do: str, rule: SenderRule) -> CheckFinding:
    return CheckFinding(check, subject, Severity.PROBLEM, what, rule, do)
