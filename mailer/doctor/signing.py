"""Judges who signs our mails with DKIM: the app, the relay or nobody; which newsletters are signed. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.finding import CheckFinding, Severity, from_error, ok
from mailer.doctor.installation import NewsletterFacts
from mailer.message.dkim import is_covered

_CHECK: Final = "dkim"


def judge_signing(
    signing_domain: str | None, newsletters: Iterable[NewsletterFacts], *, relay_signs: bool
) -> Iterator[CheckFinding]:
    """Judge who signs.

    Args:
        signing_domain: `dkim_domain`, if the app signs.
    """
    if relay_signs:
        advice = (
            "to see that it covers List-Unsubscribe-Post, subscribe with an address of your own, save a"
            " digest that arrives, and run `mailer doctor --eml FILE`"
        )
        yield ok(_CHECK, "", "the relay signs, say the settings", advice)
        return
    if signing_domain is None:
        yield CheckFinding(
            _CHECK,
            "",
            Severity.PROBLEM,
            "nobody signs our mails with DKIM",
            sender_rules.GOOGLE_SPF_OR_DKIM,
            "make a key with `mailer dkim new`, or let the relay sign and set `relay_signs_dkim`",
        )
        return
    for newsletter in newsletters:
        if not is_covered(newsletter.from_address, signing_domain):
            what = f"its mails are not signed: {newsletter.from_domain} is not {signing_domain} or below it"
            advice = f"give it a From address at {signing_domain}, or let the relay sign"
            rule = sender_rules.GOOGLE_SPF_OR_DKIM
            yield CheckFinding(_CHECK, newsletter.slug, Severity.PROBLEM, what, rule, advice)


def unusable_key(error: str) -> CheckFinding:
    """Say that a key of ours cannot be used; `error` says why, and what to do after a semicolon."""
    return from_error(_CHECK, "", error)
