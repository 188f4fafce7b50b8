"""Recognises by its columns which service exported a file, and knows what only that service means.

Pure. Never needs the name of the file, which people change, but heeds a name that Mailchimp gave.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailer.subscribers.importing.opt_in_dates import DateOrder
from mailer.subscribers.importing.status_words import (
    ACTIVE,
    BOUNCED,
    NEVER_SUBSCRIBED,
    UNSUBSCRIBED,
    StatusVerdict,
)


class Preset(StrEnum):
    """The service whose export a file is."""

    GENERIC = "CSV"
    MAILCHIMP_SUBSCRIBED = "Mailchimp, subscribed"
    MAILCHIMP_UNSUBSCRIBED = "Mailchimp, unsubscribed"
    MAILCHIMP_CLEANED = "Mailchimp, cleaned"
    MAILPOET = "MailPoet"
    SUBSTACK = "Substack"
    GHOST = "Ghost"
    LISTMONK = "listmonk"
    BEEHIIV = "Beehiiv"
    BREVO = "Brevo"
    KIT = "Kit"


@dataclass(frozen=True)
class PresetRules:
    """What is particular to a service.

    Attributes:
        least: what everybody in the file is at least.
        dates: what comes first in its dates.
        inactive_left: "inactive" means unsubscribed.
        escape: stands before a quote inside quotes.
        optional: columns of statuses that it leaves empty for people who get mail.
        says_who_left: its export has a column for that, unless somebody chose not to export it.
    """

    least: StatusVerdict = ACTIVE
    dates: DateOrder | None = None
    inactive_left: bool = False
    escape: str | None = None
    optional: frozenset[str] = frozenset()
    says_who_left: bool = False


RULES: Final = {
    Preset.GENERIC: PresetRules(),
    Preset.MAILCHIMP_SUBSCRIBED: PresetRules(),
    Preset.MAILCHIMP_UNSUBSCRIBED: PresetRules(least=UNSUBSCRIBED),
    Preset.MAILCHIMP_CLEANED: PresetRules(least=BOUNCED),
    Preset.MAILPOET: PresetRules(escape="\\", says_who_left=True),
    Preset.SUBSTACK: PresetRules(),
    Preset.GHOST: PresetRules(says_who_left=True),
    Preset.LISTMONK: PresetRules(says_who_left=True),
    Preset.BEEHIIV: PresetRules(inactive_left=True, says_who_left=True),
    Preset.BREVO: PresetRules(
        dates=DateOrder.DAY_FIRST, optional=frozenset({"opt in"}), says_who_left=True
    ),
    Preset.KIT: PresetRules(),
}

_Columns = frozenset[str]


def _mailchimp(columns: _Columns) -> Preset | None:
    if not columns.isdisjoint({"unsub time", "clean time"}):
        # No other service calls a column so.
        columns |= {"member rating"}
    own = {"member rating", "leid", "euid", "optin time", "confirm time", "optin ip", "confirm ip"}
    left = any(name.startswith("unsub ") for name in columns)
    cleaned = any(name.startswith("clean ") for name in columns)
    if len(columns & own) < (1 if left or cleaned else 2):
        return None
    if left and cleaned:
        # Somebody put the three files into one: its rows say by their cells what they are.
        return Preset.MAILCHIMP_SUBSCRIBED
    if left:
        return Preset.MAILCHIMP_UNSUBSCRIBED
    return Preset.MAILCHIMP_CLEANED if cleaned else Preset.MAILCHIMP_SUBSCRIBED


def _one_of(preset: Preset, *sets: set[str]) -> tuple[Preset, tuple[_Columns, ...]]:
    return preset, tuple(map(frozenset, sets))


_SIGNS: Final = (
    _one_of(
        Preset.MAILPOET,
        {"global status", "list status"},
        {"list status", "list"},
        {"global status", "list"},
        {"subscription ip", "confirmation ip"},
        {"subscription time", "confirmation time"},
    ),
    _one_of(
        Preset.GHOST,
        {"subscribed to emails"},
        {"complimentary plan", "stripe customer id"},
    ),
    _one_of(
        Preset.SUBSTACK,
        {"active subscription", "expiry"},
        {"active subscription", "email disabled"},
        {"email disabled", "created at"},
        {"subscription source free"},
        {"emails received 6mo"},
        {"stripe plan", "start date"},
    ),
    _one_of(Preset.LISTMONK, {"uuid", "email", "attributes"}, {"uuid", "email", "status"}),
    _one_of(
        Preset.BREVO,
        {"email blacklisted"},
        {"email blocklisted"},
        {"email blacklist"},
        {"email blocklist"},
        {"added time", "modified time"},
        {"contact id", "email", "sms"},
        {"email", "double opt in"},
        {"email", "sms", "whatsapp"},
    ),
    _one_of(
        Preset.BEEHIIV,
        {"status", "subscription tier"},
        {"status", "subscription premium tier"},
        {"status", "premium tier"},
        {"status", "acquisition source"},
        {"status", "tier", "created at"},
        {"status", "referral code"},
        {"status", "referring site"},
        {"status", "utm source", "utm medium", "utm campaign"},
    ),
    _one_of(
        Preset.KIT,
        {"first name", "email", "state", "created at"},
        {"first name", "email address", "state", "created at"},
        {"first name", "email", "status", "created at", "tags"},
        {"subscriber id", "first name", "created at"},
    ),
)


def recognise(columns: _Columns) -> Preset:
    """Return the service that exports these columns, whose names are folded."""
    mailchimp = _mailchimp(columns)
    if mailchimp is not None:
        return mailchimp
    for preset, signs in _SIGNS:
        if any(sign <= columns for sign in signs):
            return preset
    return Preset.GENERIC


_NAMES_OF_MAILCHIMP: Final = {
    "unsubscribed_": UNSUBSCRIBED,
    "cleaned_": BOUNCED,
    "nonsubscribed_": NEVER_SUBSCRIBED,
    "transactional_": NEVER_SUBSCRIBED,
    "archived_": NEVER_SUBSCRIBED,
}


def least_of(preset: Preset, file_name: str) -> StatusVerdict:
    """Return what everybody in the file is at least."""
    least = RULES[preset].least
    if preset.startswith("Mailchimp"):
        for beginning, verdict in _NAMES_OF_MAILCHIMP.items():
            if file_name.lower().startswith(beginning):
                return max(least, verdict, key=lambda one: one.severity)
    return least
