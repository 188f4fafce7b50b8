"""Judges this machine's clock by what others say the time is. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from mailer.doctor.finding import CheckFinding, Severity, ok
from mailer.text.english import duration

_CHECK: Final = "clock"
_TOLERATED: Final = timedelta(minutes=1)
_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}"
)


def date_in_greeting(greeting: str) -> datetime | None:
    """Read the time in an SMTP greeting; only some servers say it."""
    found = _DATE.search(greeting[:1000])
    return None if found is None else read_date(found[0])


def read_date(text: str) -> datetime | None:
    """Read a Date header of HTTP or mail, in UTC; None if it is none."""
    try:
        return parsedate_to_datetime(text[:100]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def judge_clock(differences: Mapping[str, timedelta]) -> CheckFinding:
    """Judge the clock.

    Args:
        differences: how far it is ahead of each clock that could be read.
    """
    if not differences:
        what = "could not be compared: neither the website nor the relay says what time it is"
        return ok(
            _CHECK, "", what, "check that this machine's clock is synchronised: `timedatectl`"
        )
    for name, difference in differences.items():
        if abs(difference) > _TOLERATED:
            side = "ahead of" if difference > timedelta(0) else "behind"
            what = (
                f"this machine's clock is {duration(abs(difference), roughly=True)} {side} {name}'s"
            )
            advice = "synchronise it: `timedatectl set-ntp true`; digests go out by it"
            return CheckFinding(_CHECK, "", Severity.PROBLEM, what, do=advice)
    return ok(_CHECK, "", f"agrees with {' and '.join(differences)}")
