"""Judges how the relay answered: whether it takes our mail, over TLS, with our login. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.finding import CheckFinding, Severity, ok
from mailer.sending.smtp.capabilities import Capabilities
from mailer.sending.smtp.events import Step, Tls
from mailer.text.untrusted import printable_line

_CHECK: Final = "relay"
_LONGEST_SHOWN: Final = 300
_EXPIRES_SOON: Final = timedelta(days=14)
_SMALLEST_SIZE: Final = 500_000
"""Bytes: a digest may have 100 KB of HTML, which base64 makes larger, and its text."""

_ADVICE: Final = {
    Step.CONNECT: "check host and port of `smtp_url`; many hosters block port 25, so use 587 or 465",
    Step.GREETING: "ask the relay's provider whether it accepts connections from this machine",
    Step.EHLO: "set `ehlo_name` to the full host name of this machine",
    Step.STARTTLS: "correct the relay's certificate, or use the host name that is in it in `smtp_url`; "
    "smtps:// with port 465 if the relay has no STARTTLS",
    Step.AUTH: "check user and password in `smtp_url`; a character such as @ or / is written as %40 or %2F",
}


@dataclass(frozen=True)
class RelayFacts:
    """What the settings say of the relay."""

    host: str
    port: int
    tls: Tls
    logs_in: bool
    is_local: bool


@dataclass(frozen=True)
class RelayAnswer:
    """How the relay answered.

    Attributes:
        failed_at: the step that failed; None if a mail could begin now.
        reason: why it failed, partly in the relay's words.
        certificate_until: when its certificate expires; None without TLS.
    """

    failed_at: Step | None = None
    reason: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    greeting: str = ""
    certificate_until: datetime | None = None


def judge_relay(relay: RelayFacts, answer: RelayAnswer, *, now: datetime) -> list[CheckFinding]:
    """Judge its answer."""
    name = f"{relay.host}:{relay.port}"
    if answer.failed_at is not None:
        return [_failed(name, answer.failed_at, answer.reason)]
    faults = list(_faults(name, relay, answer, now))
    return faults or [ok(_CHECK, name, _what_it_offers(relay, answer))]


def _failed(name: str, step: Step, reason: str) -> CheckFinding:
    shown = printable_line(reason, _LONGEST_SHOWN)
    words = {
        Step.CONNECT: "cannot be reached",
        Step.STARTTLS: "gives no TLS that can be trusted",
        Step.AUTH: "does not accept our login",
    }
    rule = sender_rules.GOOGLE_TLS if step is Step.STARTTLS else None
    advice = _ADVICE.get(step, "ask the relay's provider, with this answer")
    what = f"{words.get(step, 'does not talk to us')}: {shown}"
    return CheckFinding(_CHECK, name, Severity.PROBLEM, what, rule, advice)


def _faults(
    name: str, relay: RelayFacts, answer: RelayAnswer, now: datetime
) -> Iterator[CheckFinding]:
    if relay.tls is Tls.NONE and not relay.is_local:
        yield CheckFinding(
            _CHECK,
            name,
            Severity.WARNING,
            "mail and password go to the relay unencrypted",
            sender_rules.GOOGLE_TLS,
            "remove ?tls=none from `smtp_url`, or use smtps://",
        )
    until = answer.certificate_until
    if until is not None and until - now < _EXPIRES_SOON:
        what = f"the relay's certificate expires on {until:%Y-%m-%d}; then nothing is sent"
        yield CheckFinding(
            _CHECK, name, Severity.WARNING, what, sender_rules.GOOGLE_TLS, "have it renewed"
        )
    size = answer.capabilities.size
    if size is not None and size < _SMALLEST_SIZE:
        what = f"the relay takes mails of up to {size} bytes, and digests may be larger"
        yield CheckFinding(_CHECK, name, Severity.WARNING, what, do="have the limit raised")


def _what_it_offers(relay: RelayFacts, answer: RelayAnswer) -> str:
    offers = answer.capabilities
    parts = ["takes our mail"]
    parts.append("unencrypted on this machine" if relay.tls is Tls.NONE else "over TLS")
    if relay.logs_in:
        parts.append("accepts our login")
    if not offers.offers("SMTPUTF8"):
        parts.append(
            "has no SMTPUTF8, so readers whose address is not ASCII before the @ get nothing"
        )
    if not offers.pipelining:
        parts.append("has no PIPELINING, so sending takes longer")
    return ", ".join(parts)
