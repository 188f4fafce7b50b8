"""Judges the website at `base_url`, which every link leads to: alive, https, one-click POST. Pure."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from mailer.doctor import sender_rules
from mailer.doctor.finding import ASK_LATER, CheckFinding, Severity, ok, unchecked
from mailer.text.untrusted import printable_line

_CHECK: Final = "website"
_ONE_CLICK: Final = "one-click"
_EXPIRES_SOON: Final = timedelta(days=14)
_LONGEST_SHOWN: Final = 200
_NOT_PUBLIC: Final = (".local", ".lan", ".internal", ".home.arpa", ".localdomain")
_ALIVE: Final = "ok"
"""What our own /healthz says."""


@dataclass(frozen=True)
class PageSeen:
    """One answer, or why there was none.

    Attributes:
        error: why there is no answer; `is_about_tls` tells whether it is the certificate, `is_about_dns`
            whether the name has no address, and `is_unknown` whether DNS did not answer.
        date: of the server's clock.
        address: the IP address that answered.
        certificate_until: when the certificate expires; None without https.
    """

    status: int = 0
    body: str = ""
    location: str = ""
    date: str = ""
    certificate_until: datetime | None = None
    address: str = ""
    error: str | None = None
    is_about_tls: bool = False
    is_about_dns: bool = False
    is_unknown: bool = False


def host_of(base_url: str) -> str:
    """Return the host in a URL."""
    return urlsplit(base_url).hostname or ""


def judge_website(
    base_url: str, seen: PageSeen, *, is_local: bool, now: datetime
) -> list[CheckFinding]:
    """Judge how /healthz answered.

    Args:
        is_local: whether `base_url` works on this machine only.
    """
    if is_local:
        what = "links in mails work on this machine only"
        advice = "set `base_url` to the https address that readers see"
        return [
            CheckFinding(
                _CHECK, base_url, Severity.WARNING, what, sender_rules.YAHOO_ONE_CLICK, advice
            )
        ]
    faults = [*_about_place(base_url, seen), *_faults(base_url, seen, now)]
    until = seen.certificate_until
    expires = "" if until is None else f", with a certificate until {until:%Y-%m-%d}"
    return faults or [ok(_CHECK, base_url, f"answers over https{expires}")]


def _about_place(base_url: str, seen: PageSeen) -> Iterator[CheckFinding]:
    """Judge whether readers everywhere can reach the host."""
    host = host_of(base_url)
    if _is_private(host) or ("." not in host and ":" not in host) or host.endswith(_NOT_PUBLIC):
        what = f"{host} is a name or address of a local network, so links in mails work only there"
        yield _problem(base_url, what, "set `base_url` to the https address that readers see")
    elif _is_private(seen.address):
        what = f"{host} leads to {seen.address} here, which only your own network reaches"
        advice = "ask a public resolver: `mailer doctor --resolver 9.9.9.9`"
        yield CheckFinding(_CHECK, base_url, Severity.WARNING, what, do=advice)


def _is_private(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_private and not parsed.is_loopback


def _faults(base_url: str, seen: PageSeen, now: datetime) -> Iterator[CheckFinding]:
    host = host_of(base_url)
    if seen.error is not None:
        shown = printable_line(seen.error, _LONGEST_SHOWN)
        if seen.is_unknown:
            yield unchecked(_CHECK, base_url, shown, ASK_LATER)
            return
        if seen.is_about_tls:
            what, advice = f"its certificate is not valid: {shown}", f"get one that names {host}"
        elif seen.is_about_dns:
            what = f"{host} is not in DNS, so no link in a mail works"
            advice = f"publish an A record for {host} with the address of your web server"
        else:
            what = f"cannot be reached: {shown}"
            advice = "start `mailer run`, and check the web server in front of it and the DNS of its name"
        yield _problem(base_url, what, advice)
        return
    if 300 <= seen.status < 400:
        to = printable_line(seen.location, _LONGEST_SHOWN)
        advice = "set `base_url` to the address that is redirected to, or serve the mailer here"
        yield _problem(base_url, f"redirects to {to!r}, which mail programs do not follow", advice)
    elif seen.status != 200 or seen.body.strip() != _ALIVE:
        what = f"answers {seen.status}, but not as the mailer's web role does"
        advice = "let the web server in front pass all paths under `base_url` to `mailer run web`"
        yield _problem(base_url, what, advice)
    until = seen.certificate_until
    if until is not None and until - now < _EXPIRES_SOON:
        yield CheckFinding(
            _CHECK,
            base_url,
            Severity.WARNING,
            f"its certificate expires on {until:%Y-%m-%d}; then no link in a mail works",
            do="have it renewed, and renew it automatically",
        )


def judge_one_click(base_url: str, seen: PageSeen) -> CheckFinding:
    """Judge how a POST to a bad unsubscribe link was answered: only 404 is right."""
    if seen.error is None and seen.status == 404:
        what = "a mail program's POST reaches the mailer, without a redirect"
        return ok(_ONE_CLICK, base_url, what)
    if seen.is_unknown:
        return unchecked(
            _ONE_CLICK, base_url, printable_line(seen.error or "", _LONGEST_SHOWN), ASK_LATER
        )
    if seen.error is not None:
        what = f"a mail program's POST gets no answer: {printable_line(seen.error, _LONGEST_SHOWN)}"
        advice = "make the website answer first, then run `mailer doctor` again"
    elif 300 <= seen.status < 400:
        what = f"a mail program's POST is redirected to {printable_line(seen.location, _LONGEST_SHOWN)!r}"
        advice = "let the web server in front pass POST /unsubscribe/… on without a redirect"
    elif seen.status in (401, 403, 405, 429):
        what = f"a mail program's POST is refused with {seen.status} before it reaches the mailer"
        advice = "exempt /unsubscribe/… from logins, bot protection and limits of the web server in front"
    else:
        what = f"a mail program's POST is answered with {seen.status}, and 404 was expected"
        advice = "let the web server in front pass POST /unsubscribe/… to `mailer run web`"
    return CheckFinding(
        _ONE_CLICK, base_url, Severity.PROBLEM, what, sender_rules.ONE_CLICK_POST, advice
    )


def _problem(base_url: str, what: str, do: str) -> CheckFinding:
    return CheckFinding(_CHECK, base_url, Severity.PROBLEM, what, sender_rules.YAHOO_ONE_CLICK, do)
