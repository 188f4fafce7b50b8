"""Writes made-up readers in the form in which newsletter services export them, and says what must come out.

Everything is made up from a seed: names, addresses at example.com, IP addresses for documentation. The same
name, count and seed give the same bytes on every machine.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from mailer.models import SuppressionReason
from mailer.subscribers.importing.presets import Preset
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus


def _words(text: str, separator: str = " ") -> list[str]:
    return text.split(separator)


FIRST_NAMES: Final = _words("Anna Boris Chloé Dörte Emil Əli Guðrún Արամ Ольга Zoë Jean-Luc Siân")
LAST_NAMES: Final = _words(
    "Abel Brück Çelik D’Arcy Ëlva Fürst Nuñez Պետրոսյան Иванова O’Neill Šimić"
)
NOTES: Final = (
    "",
    "",
    "",
    "likes cats, dogs",
    'called "the boss"',
    'said "yes, please", twice',
    "two lines:\nthe second one",
    "tab\tand; semicolon | bar",
    "=1+1",
    "unsubscribed? no, just a note",
)
_BEGIN: Final = datetime(2015, 3, 1, tzinfo=UTC)

ACTIVE: Final = (ReaderStatus.ACTIVE, None)
LEFT: Final = (ReaderStatus.UNSUBSCRIBED, None)
BOUNCED: Final = (ReaderStatus.SUPPRESSED, SuppressionReason.BOUNCED)
COMPLAINED: Final = (ReaderStatus.SUPPRESSED, SuppressionReason.COMPLAINED)
BLOCKED: Final = (ReaderStatus.SUPPRESSED, SuppressionReason.STAFF)
REJECTED: Final = None

Outcome = tuple[ReaderStatus, SuppressionReason | None] | None


@dataclass(frozen=True)
class MadeUpReader:
    """Somebody who does not exist; `note` stands in columns that are none of the mailer's business."""

    number: int
    email: str
    first: str
    last: str
    signed_up: datetime
    left: datetime
    ip: str
    note: str
    word: str
    outcome: Outcome

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True)
class ProviderExport:
    """How one service writes its file.

    `words` are what its status column can say and what that means, `cells` the cells of a reader, and
    `known` which of the reader's fields its file tells. `warnings` is how many its file deserves.
    """

    preset: Preset
    file_name: str
    header: Sequence[str]
    words: Mapping[str, Outcome]
    cells: Callable[[MadeUpReader], Sequence[str]]
    known: frozenset[str]
    delimiter: str = ","
    end: str = "\n"
    mark: bytes = b""
    quote: Callable[[str, str], str] | None = None
    to_the_minute: bool = False
    midnight: bool = False
    warnings: int = 0

    def data(self, count: int, *, seed: int = 1) -> Iterator[bytes]:
        """Yield the file in pieces."""
        yield self.mark + self._line(self.header).encode()
        for reader in made_up_readers(count, seed, self.words):
            yield self._line(self.cells(reader)).encode()

    def expected(self, count: int, *, seed: int = 1) -> Iterator[ImportRow | int]:
        """Yield what each row must say, or the line of a row that must be rejected."""
        line = 1 + self._line(self.header).count("\n")
        for reader in made_up_readers(count, seed, self.words):
            yield line if reader.outcome is None else self._row(reader, line, reader.outcome)
            line += self._line(self.cells(reader)).count("\n")

    def write(self, folder: Path, count: int, *, seed: int = 1) -> Path:
        """Write the file into `folder` under the name that the service gives it."""
        path = folder / self.file_name
        with path.open("wb") as file:
            file.writelines(self.data(count, seed=seed))
        return path

    def _line(self, cells: Sequence[str]) -> str:
        quote = self.quote or quoted_if_needed
        return self.delimiter.join(quote(cell, self.delimiter) for cell in cells) + self.end

    def _row(
        self,
        reader: MadeUpReader,
        line: int,
        outcome: tuple[ReaderStatus, SuppressionReason | None],
    ) -> ImportRow:
        status, reason = outcome
        row = ImportRow(line, reader.email, status=status, reason=reason)
        signed_up = reader.signed_up
        if self.to_the_minute or self.midnight:
            signed_up = signed_up.replace(second=0)
        if self.midnight:
            signed_up = signed_up.replace(hour=0, minute=0)
        told: dict[str, dict[str, Any]] = {
            "name": {"name": reader.name},
            "first": {"name": reader.first},
            "time": {"opted_in_at": signed_up},
            "ip": {"opt_in_ip": reader.ip},
            "left": {} if status is ReaderStatus.ACTIVE else {"left_at": reader.left},
            "source": {"source": "Form, home page"},
        }
        for field in self.known:
            row = row._replace(**told[field])
        return row


def made_up_readers(count: int, seed: int, words: Mapping[str, Outcome]) -> Iterator[MadeUpReader]:
    """Yield readers with different addresses, half of them with the first word."""
    random = Random(seed)
    all_words = list(words)
    for number in range(count):
        first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
        signed_up = _BEGIN + timedelta(seconds=random.randrange(11 * 365 * 86400))
        word = all_words[0] if random.random() < 0.5 else random.choice(all_words)
        host = random.choice(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8::"))
        yield MadeUpReader(
            number=number,
            email=f"reader{number}.{seed}@{random.choice(('example.com', 'mail.example', 'x.example'))}",
            first=first,
            last=last,
            signed_up=signed_up,
            left=signed_up + timedelta(seconds=random.randrange(1, 86400 * 60)),
            ip=f"{host}{random.randrange(1, 255)}",
            note=random.choice(NOTES),
            word=word,
            outcome=words[word],
        )


def quoted_if_needed(cell: str, delimiter: str) -> str:
    """Quote a cell with blanks and signs in it, as Mailchimp does."""
    if any(letter in cell for letter in f'"\r\n {delimiter}'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def always_quoted(cell: str, _: str) -> str:
    """Quote a cell with a backslash before quotes in it, and undo formulas, as MailPoet does."""
    plain = f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
    return '"' + plain.replace('"', '\\"') + '"'


def sql(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def _mailchimp(reader: MadeUpReader, *extra: str) -> list[str]:
    return [
        *(reader.email, reader.first, reader.last, "1 Street, Town", "2"),
        *(
            sql(reader.signed_up),
            reader.ip,
            sql(reader.signed_up + timedelta(minutes=5)),
            "192.0.2.9",
        ),
        *("40.1", "44.5", "4", "4", "Asia/Yerevan", "AM", "ER", sql(reader.left)),
        *extra,
        *(str(reader.number), f"{reader.number:x}", reader.note, '"VIP","Blog readers"'),
    ]


_MAILCHIMP: Final = _words(
    "Email Address,First Name,Last Name,Address,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP"
    ",LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED",
    ",",
)
_MAILCHIMP_END: Final = ["LEID", "EUID", "NOTES", "TAGS"]
_FROM_MAILCHIMP: Final = frozenset({"name", "time", "ip", "left"})


def _mailpoet(reader: MadeUpReader) -> list[str]:
    on_list, everywhere = reader.word.split("/")
    return [
        *(reader.email, reader.first, reader.last, reader.ip, sql(reader.signed_up)),
        *(sql(reader.signed_up + timedelta(hours=1)), "192.0.2.9", on_list, everywhere),
        *(reader.note, "Newsletter Readers"),
    ]


def _listmonk(reader: MadeUpReader) -> list[str]:
    attributes = json.dumps({"note": reader.note, "status": "unsubscribed"})
    times = [f"{sql(time)}.123456 +0000 UTC" for time in (reader.signed_up, reader.left)]
    unique = f"00000000-0000-4000-8000-{reader.number:012d}"
    return [unique, reader.email, reader.name, attributes, reader.word, *times]


EXPORTS: Final[Mapping[str, ProviderExport]] = {
    "mailchimp_subscribed": ProviderExport(
        Preset.MAILCHIMP_SUBSCRIBED,
        "subscribed_email_audience_export_0a1b2c3d4e.csv",
        [*_MAILCHIMP, *_MAILCHIMP_END],
        {"": ACTIVE},
        _mailchimp,
        _FROM_MAILCHIMP,
    ),
    "mailchimp_unsubscribed": ProviderExport(
        Preset.MAILCHIMP_UNSUBSCRIBED,
        "unsubscribed_email_audience_export_0a1b2c3d4e.csv",
        [
            *_MAILCHIMP,
            *("UNSUB_TIME", "UNSUB_CAMPAIGN_TITLE", "UNSUB_CAMPAIGN_ID", "UNSUB_REASON"),
            *("UNSUB_REASON_OTHER", *_MAILCHIMP_END),
        ],
        {"": LEFT},
        lambda reader: _mailchimp(
            reader, sql(reader.left), "Spring, with news", "5f6e", "NORMAL", reader.note
        ),
        _FROM_MAILCHIMP,
    ),
    "mailchimp_cleaned": ProviderExport(
        Preset.MAILCHIMP_CLEANED,
        "cleaned_email_audience_export_0a1b2c3d4e.csv",
        [
            *_MAILCHIMP,
            *("CLEAN_TIME", "CLEAN_CAMPAIGN_TITLE", "CLEAN_CAMPAIGN_ID", *_MAILCHIMP_END),
        ],
        {"": BOUNCED},
        lambda reader: _mailchimp(reader, sql(reader.left), "Spring, with news", "5f6e"),
        _FROM_MAILCHIMP,
    ),
    "mailpoet": ProviderExport(
        Preset.MAILPOET,
        "MailPoet_export_0a1b2c3d.csv",
        [
            *("Email", "First name", "Last name", "Subscription IP", "Subscription time"),
            *("Confirmation time", "Confirmation IP", "List status", "Global status"),
            *("Where did you hear of us?", "List"),
        ],
        {
            "subscribed/subscribed": ACTIVE,
            "unsubscribed/subscribed": LEFT,
            "subscribed/unsubscribed": LEFT,
            "subscribed/unconfirmed": REJECTED,
            "subscribed/inactive": REJECTED,
            "subscribed/bounced": BOUNCED,
            "/subscribed": REJECTED,
        },
        _mailpoet,
        frozenset({"name", "time", "ip"}),
        mark=b"\xef\xbb\xbf",
        quote=always_quoted,
    ),
    "substack": ProviderExport(
        Preset.SUBSTACK,
        "email_list.paper.csv",
        _words(
            "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at", ","
        ),
        {"false": ACTIVE, "true": LEFT, "": ACTIVE},
        lambda reader: [
            *(reader.email, "false", "", "other", reader.word, iso(reader.signed_up), ""),
        ],
        frozenset({"time"}),
    ),
    "substack_dashboard": ProviderExport(
        Preset.SUBSTACK,
        "substack_subscribers.csv",
        [
            *(
                "Email",
                "Name",
                "Type",
                "Stripe plan",
                "Cancel date",
                "Start date",
                "Paid upgrade date",
            ),
            *("Activity", "Country", "Emails received (6mo)", "Emails opened (6mo)", "Revenue"),
            *("Subscription source (free)", "Sections", "Note"),
        ],
        {"Free": ACTIVE, "Yearly": ACTIVE},
        lambda reader: [
            *(
                reader.email,
                reader.name,
                reader.word,
                "",
                sql(reader.left),
                iso(reader.signed_up),
                "",
            ),
            *("3", "AM", "24", "20", "$0.00", "Form, home page", "all", reader.note),
        ],
        frozenset({"name", "time", "source"}),
    ),
    "ghost": ProviderExport(
        Preset.GHOST,
        "paper.ghost.members.2026-11-01.csv",
        _words(
            "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at"
            ",deleted_at,labels,tiers,gift_id",
            ",",
        ),
        {"true": ACTIVE, "false": LEFT, "": REJECTED},
        lambda reader: [
            *(
                f"{reader.number:024x}",
                reader.email,
                reader.name,
                reader.note,
                reader.word,
                "false",
            ),
            *("", iso(reader.signed_up), "", "VIP,Blog", "", ""),
        ],
        frozenset({"name", "time"}),
        end="\r\n",
    ),
    "listmonk": ProviderExport(
        Preset.LISTMONK,
        "subscribers.csv",
        ["uuid", "email", "name", "attributes", "status", "created_at", "updated_at"],
        {"enabled": ACTIVE, "disabled": LEFT, "blocklisted": BLOCKED},
        _listmonk,
        frozenset({"name", "time"}),
    ),
    "beehiiv": ProviderExport(
        Preset.BEEHIIV,
        "subscribers.csv",
        [
            *(
                "id",
                "email",
                "status",
                "created_at",
                "subscription_tier",
                "referral_code",
                "utm_medium",
            ),
            *("utm_campaign", "acquisition_source", "first_name", "last_name", "note"),
        ],
        {"active": ACTIVE, "inactive": LEFT, "pending": REJECTED, "invalid": BOUNCED},
        lambda reader: [
            *(f"sub_{reader.number}", reader.email, reader.word, iso(reader.signed_up), "free"),
            *(
                f"{reader.number:x}",
                "web",
                "",
                "Form, home page",
                reader.first,
                reader.last,
                reader.note,
            ),
        ],
        frozenset({"name", "time", "source"}),
    ),
    "brevo": ProviderExport(
        Preset.BREVO,
        "brevo_contacts.csv",
        [
            *("CONTACT ID", "EMAIL", "LASTNAME", "FIRSTNAME", "SMS", "NOTE", "DOUBLE_OPT-IN"),
            *("EMAIL_BLACKLISTED", "SMS_BLACKLISTED", "ADDED_TIME", "MODIFIED_TIME"),
        ],
        {"No": ACTIVE, "Yes": BLOCKED},
        lambda reader: [
            *(str(reader.number), reader.email, reader.last, reader.first, "", reader.note, "1"),
            *(reader.word, "Yes", f"{reader.signed_up:%d-%m-%Y %H:%M}"),
            f"{reader.left:%d-%m-%Y %H:%M}",
        ],
        frozenset({"name", "time"}),
        delimiter=";",
        to_the_minute=True,
    ),
    "brevo_without_blocklist": ProviderExport(
        Preset.BREVO,
        "contacts.csv",
        _words(
            "CONTACT ID;EMAIL;LASTNAME;FIRSTNAME;WHATSAPP;SMS;DOUBLE_OPT-IN;OPT_IN;LANDLINE_NUMBER;EXT_ID"
            ";CONTACT_TIMEZONE;JOB_TITLE;LINKEDIN;ADDED_TIME;MODIFIED_TIME",
            ";",
        ),
        {"": ACTIVE, "Yes": ACTIVE, "No": LEFT},
        lambda reader: [
            *(str(reader.number), reader.email, reader.last, reader.first, "", "", "", reader.word),
            *("", "", "", reader.note, "", f"{reader.signed_up:%d-%m-%Y}"),
            f"{reader.left:%d-%m-%Y}",
        ],
        frozenset({"name", "time"}),
        delimiter=";",
        midnight=True,
        warnings=1,
    ),
    "kit": ProviderExport(
        Preset.KIT,
        "convertkit_subscribers.csv",
        ["first_name", "email_address", "state", "created_at", "note", "tags"],
        {
            "active": ACTIVE,
            "cancelled": LEFT,
            "bounced": BOUNCED,
            "complained": COMPLAINED,
            "inactive": REJECTED,
        },
        lambda reader: [
            *(reader.first, reader.email, reader.word, iso(reader.signed_up), reader.note, "a,b"),
        ],
        frozenset({"first", "time"}),
    ),
}
"""One for each form of file that a service writes."""
