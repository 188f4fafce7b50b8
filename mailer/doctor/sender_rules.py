"""Names the rules of mailbox providers and of standards that findings refer to, each with its page. Pure.

Never judges: which rule a finding names is decided where it is made. Read on the providers' pages in November
2026.
"""

from typing import Final

from mailer.doctor.finding import SenderRule

_GOOGLE: Final = "https://support.google.com/a/answer/81126"
_MICROSOFT: Final = (
    "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/"
    "strengthening-email-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-senders/4399730"
)
_YAHOO: Final = "https://senders.yahooinc.com/best-practices/"
_RFC: Final = "https://www.rfc-editor.org/rfc/rfc"

GOOGLE_SPF_OR_DKIM: Final = SenderRule(
    "Gmail wants SPF or DKIM from everybody, and both from 5,000 mails a day on; mail without them is"
    " rejected or goes to spam",
    _GOOGLE,
)
MICROSOFT_ALL_THREE: Final = SenderRule(
    "Outlook.com wants SPF, DKIM and DMARC to pass from 5,000 mails a day on, and rejects other mail with"
    " 550 5.7.515",
    _MICROSOFT,
)
GOOGLE_DMARC: Final = SenderRule(
    "Gmail, Yahoo and Outlook.com want a DMARC record from bulk senders, and the domain in From aligned with"
    " SPF or DKIM",
    _GOOGLE,
)
GOOGLE_ALIGNMENT: Final = SenderRule(
    "Gmail wants the domain in From aligned with SPF or DKIM, better with both; otherwise DMARC fails",
    _GOOGLE,
)
GOOGLE_KEY_LENGTH: Final = SenderRule(
    "Gmail ignores DKIM keys shorter than 1024 bits and advises 2048", _GOOGLE
)
GOOGLE_PTR: Final = SenderRule(
    "Gmail wants the sending address to have a host name in reverse DNS that leads back to it",
    _GOOGLE,
)
GOOGLE_TLS: Final = SenderRule("Gmail wants mail to be transmitted over TLS", _GOOGLE)
YAHOO_ONE_CLICK: Final = SenderRule(
    "Gmail and Yahoo want one-click unsubscribing from bulk senders, done within two days", _YAHOO
)
YAHOO_BOUNCES: Final = SenderRule(
    "Yahoo wants addresses that do not exist to be removed, and a list that ignores bounces is blocked",
    _YAHOO,
)
MICROSOFT_REPLY: Final = SenderRule(
    "Outlook.com wants a From or Reply-To address that can receive replies", _MICROSOFT
)
SPF_LIMITS: Final = SenderRule(
    "receivers give up after ten look-ups, and then SPF fails (RFC 7208, section 4.6.4)",
    f"{_RFC}7208#section-4.6.4",
)
SPF_SYNTAX: Final = SenderRule(
    "a record that cannot be read fails, as if there were none (RFC 7208, section 4.6)",
    f"{_RFC}7208#section-4.6",
)
DKIM_KEY: Final = SenderRule(
    "a signature that does not match the published key fails (RFC 6376, section 6.1.2)",
    f"{_RFC}6376#section-6.1.2",
)
DKIM_ONE_CLICK: Final = SenderRule(
    "mail programs show an unsubscribe button only if DKIM covers both headers (RFC 8058, section 4)",
    f"{_RFC}8058#section-4",
)
ONE_CLICK_POST: Final = SenderRule(
    "mail programs send a POST without cookies and follow no redirect (RFC 8058, section 3.1)",
    f"{_RFC}8058#section-3.1",
)
DMARC_RECORD: Final = SenderRule(
    "receivers ignore a DMARC record that is not valid or not the only one (RFC 9989)",
    f"{_RFC}9989",
)
DMARC_REPORTS: Final = SenderRule(
    "only reports show who sends as you, and which of your own mail fails (RFC 9990)", f"{_RFC}9990"
)
NULL_MX: Final = SenderRule(
    "a null MX record says that the domain takes no mail (RFC 7505)", f"{_RFC}7505"
)
POSTAL_ADDRESS: Final = SenderRule(
    "the law of many countries wants a postal address in commercial mail, such as CAN-SPAM in the US",
    "https://www.ftc.gov/business-guidance/resources/can-spam-act-compliance-guide-business",
)
GOOGLE_CONFUSABLE: Final = SenderRule(
    "Gmail may reject domains that mix scripts, because they look like others", _GOOGLE
)
