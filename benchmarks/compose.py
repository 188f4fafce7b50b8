"""Composer ÷ `email.message.EmailMessage`: the same digest for many readers, side by side in one run.

Run as `python benchmarks/compose.py`; prints a table. Nothing is checked here beyond that both are done.
"""

import html
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.headers import digest_headers, reader_headers
from mailer.message.reader_fields import ReaderField, field_word, new_marker, split_text

SECONDS = 1.0
"""How long each side composes, a round."""
ROUNDS = 3
ARTICLES = 20
DATE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SUMMARIES = {
    "en": "The ferry across the bay will not run from Monday; a bus goes every forty minutes. ",
    "ru": "Паром через залив с понедельника не ходит; каждые сорок минут идёт автобус. ",
    "hy": "Լաստանավը ծովածոցով չի անցնի, ավտոբուսը կգնա քառասուն րոպեն մեկ անգամ։ ",
}


def digest(language: str) -> Content:
    """A digest of about 30 KB."""
    marker = new_marker(random.Random(7).randbytes)
    greeting = field_word(marker, ReaderField.GREETING)
    leave = field_word(marker, ReaderField.UNSUBSCRIBE)
    summary = SUMMARIES[language] * 3
    articles = "".join(
        "<table role='presentation' width='600'><tr><td style='padding:0 24px;color:#1c1c1e;"
        "font:16px/1.5 Georgia,serif'><h2 style='margin:24px 0 8px;font-size:20px'>"
        f"<a style='color:#0b3d5c' href='https://courier.example/{number}'>{summary[:60]}</a></h2>"
        f"<p style='margin:0 0 16px'>{summary}{summary}</p></td></tr></table>\n"
        for number in range(ARTICLES)
    )
    texts = "".join(f"{summary}\nhttps://courier.example/{n}\n\n" for n in range(ARTICLES))
    return Content(
        language=language,
        from_name="Harbour Courier",
        from_address="news@courier.example",
        reply_to="desk@courier.example",
        subject=summary[:50],
        html=f"<p>{greeting}</p>{articles}<a href='{leave}'>Unsubscribe</a>",
        text=f"{greeting}\n\n{texts}{leave}\n",
        marker=marker,
    )


def fixed_headers(content: Content) -> tuple[tuple[str, str], ...]:
    """The headers of the digest that all readers get."""
    return digest_headers(
        digest_id=7,
        slug="daily",
        title="Harbour Courier",
        list_id="daily.courier.example",
        from_address=content.from_address,
        help_url="https://news.courier.example/preferences",
    )


def reader(number: int) -> tuple[str, str, dict[ReaderField, str]]:
    """Address, Message-ID and fields of one reader."""
    leave = f"https://news.courier.example/unsubscribe/dQAAAAAAAAAB{number:032x}"
    fields = {ReaderField.GREETING: f"Good morning, {number}", ReaderField.UNSUBSCRIBE: leave}
    return f"reader{number}@example.com", f"<d{number}.abcdef@courier.example>", fields


def ours(content: Content) -> Callable[[int], bytes]:
    """Composes a reader's mail with the composer."""
    compiled = compile_mail(content, fixed_headers(content))

    def compose(number: int) -> bytes:
        to, message_id, fields = reader(number)
        return compiled.render(
            to=to,
            message_id=message_id,
            date=DATE,
            headers=reader_headers(
                delivery_id=number, unsubscribe_url=fields[ReaderField.UNSUBSCRIBE]
            ),
            fields=fields,
        )

    return compose


def theirs(content: Content) -> Callable[[int], bytes]:
    """Composes the same mail with the standard library."""
    text, page = split_text(content.text, content.marker), split_text(content.html, content.marker)

    def compose(number: int) -> bytes:
        to, message_id, fields = reader(number)
        message = EmailMessage(policy=SMTP)
        message["From"] = f"{content.from_name} <{content.from_address}>"
        message["To"] = to
        message["Subject"] = content.subject
        message["Date"] = format_datetime(DATE)
        message["Message-ID"] = message_id
        message["Reply-To"] = content.reply_to
        for name, value in fixed_headers(content):
            message[name] = value
        for name, value in reader_headers(
            delivery_id=number, unsubscribe_url=fields[ReaderField.UNSUBSCRIBE]
        ):
            message[name] = value
        message.set_content(text.fill(fields))
        escaped = {field: html.escape(value) for field, value in fields.items()}
        message.add_alternative(page.fill(escaped), subtype="html")
        return message.as_bytes()

    return compose


def rate(compose: Callable[[int], bytes]) -> float:
    """Mails a second."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        compose(done)
        done += 1
    return done / spent


def main() -> None:
    """Print the table: the median of the rounds, and the ratio between the two in the same round."""
    print("Composing one reader's mail: mailer ÷ email.message.EmailMessage")
    print(f"{'language':<10}{'KB':>6}{'mailer/s':>12}{'stdlib/s':>12}{'µs':>8}{'ratio':>9}")
    for language in SUMMARIES:
        content = digest(language)
        mine, other = ours(content), theirs(content)
        size = len(mine(1)) / 1000
        rounds = sorted((rate(mine), rate(other)) for _ in range(ROUNDS))
        fast, slow = rounds[ROUNDS // 2]
        print(
            f"{language:<10}{size:>6.0f}{fast:>12,.0f}{slow:>12,.0f}"
            f"{1e6 / fast:>8.1f}{fast / slow:>8.0f}×"
        )


if __name__ == "__main__":
    main()
