"""Defines what the doctor finds: a check, what it says, why that matters, and what to do. Pure.

Never decides anything.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """How bad a finding is. Only problems make the command fail."""

    PROBLEM = "problem"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True)
class SenderRule:
    """Whose rule a finding is about: in words, and the page it is on."""

    text: str
    page: str


@dataclass(frozen=True)
class DnsRecord:
    """A record to publish; `value` is the text as a registrar's form takes it, without quotes."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class CheckFinding:
    """What one check found.

    Attributes:
        check: the check, such as "spf"; docs/commands.md lists them.
        subject: the domain, host, newsletter or file that it is about; empty for the installation.
        what: one sentence without a full stop.
        rule: why it matters.
        do: the next step.
        record: what to publish in DNS.
    """

    check: str
    subject: str
    severity: Severity
    what: str
    rule: SenderRule | None = None
    do: str | None = None
    record: DnsRecord | None = None


ASK_LATER: Final = "run `mailer doctor` again later, or with --resolver"
"""What to do if DNS did not answer."""


def ok(check: str, subject: str, what: str, do: str | None = None) -> CheckFinding:
    """Make a finding that all is well; `do` is what can be checked by hand all the same."""
    return CheckFinding(check, subject, Severity.OK, what, do=do)


def unchecked(check: str, subject: str, why: str, do: str) -> CheckFinding:
    """Make the finding that something could not be checked, with what to try next."""
    return CheckFinding(check, subject, Severity.WARNING, f"could not be checked: {why}", do=do)


def from_error(
    check: str, subject: str, error: str, rule: SenderRule | None = None
) -> CheckFinding:
    """Make a problem of an error of ours, which says what is wrong and, behind a semicolon, what to do."""
    what, _, advice = error.partition("; ")
    return CheckFinding(check, subject, Severity.PROBLEM, what, rule, advice or None)
