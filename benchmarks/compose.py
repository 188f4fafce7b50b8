"""What the sending thread computes per mail besides the database, in CPU time, side by side in one run.

Composing: `Composer.for_relay`, with greeting, links, Message-ID and envelope, against
`email.message.EmailMessage`, which gets all of these ready made. Conversation: what is said and parsed from
one final dot to the next on one connection, to a relay that pipelines.

Warm is a tight loop. Cold comes after more memory was written than the processor's second cache holds, as
in the send loop, where others come between two mails. Each figure is a median; so are the ratios, between
figures of the same round. Run as `python benchmarks/compose.py`; prints a table and checks nothing.
"""

import html
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.digest import BASE_URL, KEYS
from mailer.ledger.transitions import Addressee, Claim, RowId
from mailer.message.dkim import DkimSigner
from mailer.message.headers import Header, digest_headers
from mailer.message.reader_fields import ReaderField, field_word, split_text
from mailer.models import Delivery, Edition
from mailer.sending.compiled_content import CompiledContent, compile_content
from mailer.sending.composer import Composer, OutgoingMail, Unsendable
from mailer.sending.smtp.capabilities import Capabilities
from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import Envelope
from mailer.templating.templates import Templates

ROUNDS = 5
WARM_MAILS = 2_000
COLD_MAILS = 200
MAILS_OF_LIBRARY = 40
"""Of `EmailMessage`, which takes a hundred times as long."""
CACHE_BYTES = 4_000_000
MARKER = "QJ4ZT2MNBX7PLKA5"
DATE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SIZES = (("en", 31), ("en", 44), ("ru", 44), ("hy", 44))
SUMMARIES = {
    "en": "The ferry across the bay will not run from Monday; a bus goes every forty minutes. ",
    "ru": "Паром через залив с понедельника не ходит; каждые сорок минут идёт автобус. ",
    "hy": "Լաստանավը ծովածոցով չի անցնի, ավտոբուսը կգնա քառասուն րոպեն մեկ անգամ։ ",
}
NAMES = {"en": "Ann Baker", "ru": "Анна Каренина", "hy": "Անի Պետրոսյան"}
CAPABILITIES = b"250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10240000\r\n"
ANSWERS = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"


class Reader(NamedTuple):
    """What both sides are told of one reader."""

    mail: OutgoingMail
    message_id: str
    fields: dict[ReaderField, str]


def edition(language: str, articles: int) -> Edition:
    """An edition with so many articles."""
    greeting = field_word(MARKER, ReaderField.GREETING)
    leave = field_word(MARKER, ReaderField.UNSUBSCRIBE)
    summary = SUMMARIES[language] * 3
    page = "".join(
        "<table role='presentation' width='600'><tr><td style='padding:0 24px;color:#1c1c1e;"
        "font:16px/1.5 Georgia,serif'><h2 style='margin:24px 0 8px;font-size:20px'>"
        f"<a style='color:#0b3d5c' href='https://courier.example/{number}'>{summary[:60]}</a></h2>"
        f"<p style='margin:0 0 16px'>{summary}{summary}</p></td></tr></table>\n"
        for number in range(articles)
    )
    text = "".join(f"{summary}\nhttps://courier.example/{n}\n\n" for n in range(articles))
    return Edition(
        language=language,
        from_name="Harbour Courier",
        from_address="news@courier.example",
        reply_to="desk@courier.example",
        subject=summary[:50],
        html=f"<p>{greeting}</p>{page}<a href='{leave}'>Unsubscribe</a>",
        text=f"{greeting}\n\n{text}{leave}\n",
        marker=MARKER,
    )


def fixed_headers() -> tuple[Header, ...]:
    """The headers of the digest that all readers get."""
    return digest_headers(
        digest_id=7,
        slug="daily",
        title="Harbour Courier",
        list_id="daily.courier.example",
        from_address="news@courier.example",
        help_url=f"{BASE_URL}/preferences",
    )


def readers(compiled: CompiledContent, number: int) -> list[Reader]:
    """So many readers, with what a claim says of them and with what is made of that for `EmailMessage`."""
    made = []
    for row in range(1, number + 1):
        name = NAMES[compiled.content.language]
        addressee = Addressee(1, DATE, f"reader{row}@example.com", name, 2**60 + row)
        claim = Claim(RowId(Delivery, row), 1, 0, DATE, 0, 7, addressee)
        links = {ReaderField.UNSUBSCRIBE: (addressee.public_id, None)}
        mail = OutgoingMail(claim, compiled, addressee.address, DATE.replace(), name, links)
        leave = f"{BASE_URL}/unsubscribe/dQAAAAAAAAAB{row:027x}"
        fields = {ReaderField.GREETING: f"Hello {name},", ReaderField.UNSUBSCRIBE: leave}
        made.append(Reader(mail, f"<d{row}.{row:032x}@courier.example>", fields))
    return made


def theirs(content: Edition) -> Callable[[Reader], bytes]:
    """Composes a reader's mail with the standard library."""
    text, page = split_text(content.text, MARKER), split_text(content.html, MARKER)

    def compose(reader: Reader) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"] = f"{content.from_name} <{content.from_address}>"
        message["To"] = reader.mail.address
        message["Subject"] = content.subject
        message["Date"] = format_datetime(DATE)
        message["Message-ID"] = reader.message_id
        message["Reply-To"] = content.reply_to
        for name, value in fixed_headers():
            message[name] = value
        message["List-Unsubscribe"] = f"<{reader.fields[ReaderField.UNSUBSCRIBE]}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["X-Mailer-Delivery"] = str(reader.mail.claim.row.id)
        message.set_content(text.fill(reader.fields))
        escaped = {field: html.escape(value) for field, value in reader.fields.items()}
        message.add_alternative(page.fill(escaped), subtype="html")
        return message.as_bytes()

    return compose


def ours(
    relay: Capabilities, signer: DkimSigner | None = None
) -> Callable[[Reader], tuple[Envelope, bytes]]:
    """Composes a reader's mail as the send loop does, signed or not."""
    composer = Composer(KEYS, BASE_URL, Templates(), dkim_signer=signer)

    def compose(reader: Reader) -> tuple[Envelope, bytes]:
        made = composer.for_relay(reader.mail, relay)
        if isinstance(made, Unsendable):
            raise TypeError(made.reason)
        return made

    return compose


def opened() -> Conversation:
    """A conversation that is ready for a mail."""
    talk = Conversation("news.example")
    for said in (b"220 relay\r\n", CAPABILITIES):
        talk.receive(said)
        talk.take()
    return talk


def conversing(talk: Conversation, envelope: Envelope, data: bytes) -> Callable[[Reader], bytes]:
    """Says one mail and takes in the answers to it, and to the dot of the last one."""
    talk.begin(envelope, data, dotless=True)
    talk.take()
    talk.receive(ANSWERS)

    def converse(_: Reader) -> bytes:
        talk.take()
        talk.finish()
        talk.begin(envelope, data, dotless=True)
        talk.take()
        talk.receive(b"250 2.0.0 Ok\r\n" + ANSWERS)
        return b""

    return converse


def warm(act: Callable[[Reader], object], among: list[Reader]) -> float:
    """Microseconds of CPU time for each of these in a tight loop."""
    start = time.thread_time()
    for reader in among:
        act(reader)
    return (time.thread_time() - start) / len(among) * 1e6


def cold(act: Callable[[Reader], object], among: list[Reader]) -> float:
    """Microseconds of CPU time for one, the median, with nothing of it in the nearer caches."""
    spent, cache, other = [], bytearray(CACHE_BYTES), bytes(CACHE_BYTES)
    for reader in among:
        cache[:] = other
        start = time.thread_time_ns()
        act(reader)
        spent.append((time.thread_time_ns() - start) / 1000)
    return statistics.median(spent)


def measure(language: str, kilobytes: int) -> None:
    """One line of the table."""
    compose = ours(opened().capabilities)
    for articles in count(1):
        content = edition(language, articles)
        compiled = compile_content(content, fixed_headers)
        among = readers(compiled, 1)
        envelope, data = compose(among[0])
        if len(data) >= kilobytes * 1000:
            break
    among = readers(compiled, WARM_MAILS)
    library, converse = theirs(content), conversing(opened(), envelope, data)
    rounds = [
        (
            warm(compose, among),
            cold(compose, among[:COLD_MAILS]),
            warm(library, among[:MAILS_OF_LIBRARY]),
            warm(converse, among),
            cold(converse, among[:COLD_MAILS]),
        )
        for _ in range(ROUNDS)
    ]
    composing, composing_cold, of_library, talking, talking_cold = map(
        statistics.median, zip(*rounds, strict=True)
    )
    ratio = statistics.median(row[2] / row[0] for row in rounds)
    print(
        f"{language:10}{len(data) / 1000:5.0f}{composing:9.1f}{composing_cold:8.1f}{of_library:14,.0f}"
        f"{ratio:9.0f} ×{talking:9.1f}{talking_cold:8.1f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    print("CPU time for one mail, µs")
    print("             composing           EmailMessage           conversation")
    print("language    KB     warm    cold          warm  ÷ composing     warm    cold")
    for language, kilobytes in SIZES:
        measure(language, kilobytes)


if __name__ == "__main__":
    main()
