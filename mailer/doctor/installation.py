"""Judges settings and newsletters without asking anybody: addresses, size, names of domains. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.finding import CheckFinding, Severity, ok
from mailer.text.english import command, pluralise

_BULK: Final = 5000
"""From so many mails a day on, Gmail and Outlook.com apply the rules for bulk senders."""
_EAST_ASIAN: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "LATIN"})


@dataclass(frozen=True)
class NewsletterFacts:
    """What the doctor wants to know of a newsletter; domains are A-labels."""

    slug: str
    from_address: str
    from_domain: str
    reply_domain: str
    postal_address: str
    subscriptions: int


def judge_newsletters(newsletters: Sequence[NewsletterFacts]) -> Iterator[CheckFinding]:
    """Judge what a mail must say, and how many there are."""
    if not newsletters:
        what = "there is no newsletter yet, so no domain in From could be checked"
        advice = "add one with `mailer newsletter add`, then run this again"
        yield CheckFinding("volume", "", Severity.WARNING, what, do=advice)
        return
    total = 0
    for newsletter in newsletters:
        total += newsletter.subscriptions
        if newsletter.postal_address.strip():
            yield ok("postal-address", newsletter.slug, "the postal address is set")
        else:
            yield CheckFinding(
                "postal-address",
                newsletter.slug,
                Severity.PROBLEM,
                "the postal address is missing",
                sender_rules.POSTAL_ADDRESS,
                f"set it: `{command('newsletter', 'edit', newsletter.slug)} --postal-address …`",
            )
    if total >= _BULK:
        what = f"{pluralise(total, 'subscription')}: the providers' rules for bulk senders apply"
    else:
        what = f"{pluralise(total, 'subscription')}: fewer than the {_BULK} mails a day of bulk senders"
    yield ok("volume", "", what)


def judge_staff_address(staff: Sequence[str]) -> CheckFinding:
    """Judge whether somebody is told when something goes wrong.

    Args:
        staff: the addresses in `staff_address`.
    """
    if not staff:
        what = "nobody is told when sending stops or a digest is paused"
        return CheckFinding(
            "staff-address",
            "",
            Severity.WARNING,
            what,
            do="set `staff_address` to a mailbox you read",
        )
    return ok("staff-address", "", "staff are told when something goes wrong")


def judge_domain_name(domain: str) -> CheckFinding | None:
    """Warn of a domain that mixes scripts, as those do that imitate another; None if it is fine.

    Args:
        domain: as A-labels or in Unicode.
    """
    for label in domain.split("."):
        scripts = set(_scripts(_in_unicode(label)))
        if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
            names = " and ".join(sorted(name.capitalize() for name in scripts))
            what = f"its name mixes letters of several scripts ({names})"
            advice = "use a domain in one script"
            return CheckFinding(
                "domain", domain, Severity.WARNING, what, sender_rules.GOOGLE_CONFUSABLE, advice
            )
    return None


def _in_unicode(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError):
        return label


def _scripts(label: str) -> Iterator[str]:
    for letter in label:
        # A mark of both Japanese scripts is called KATAKANA-HIRAGANA.
        name = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]
        if letter.isalpha() and name:
            yield name
