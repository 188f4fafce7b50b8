"""Recognises by its columns which service exported a file.

Pure.
"""

from enum import StrEnum


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
    MAILER = "mailer"
