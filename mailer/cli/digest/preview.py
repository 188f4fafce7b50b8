"""`mailer digest preview` and `test`: the digest as its readers would see it."""

import html as markup
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy.orm import Session

from mailer import address as addresses
from mailer.address import Address
from mailer.cli.base import Command, opened
from mailer.cli.digest.reader import one_reader
from mailer.cli.digest.show import warn_of_subject
from mailer.cli.digest.target import Target, find_target, slot_options
from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.output import message, print_text
from mailer.digests.build.editions import render_cohort
from mailer.digests.selection import plan as planning
from mailer.errors import Refused
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.headers import digest_headers, reader_headers
from mailer.message.reader_fields import ReaderField, split_text
from mailer.models import Holds, NoticeKind
from mailer.notices.notice import queue_notice
from mailer.sending.outgoing import greeting
from mailer.settings import local_links
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App

_SOMEBODY = "reader@example.com"


@dataclass(frozen=True)
class Preview:
    """A digest as somebody would see it.

    Attributes:
        nobody: why nobody at all would get it as things stand; None where somebody would.
        readers: how many would get a digest at that slot.
    """

    content: Content
    nobody: str | None
    readers: int


@click.command(cls=Command)
@slot_options
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write the HTML here.")
@click.option("--text", "text_file", type=click.Path(path_type=Path), help="Write the text here.")
@click.option("--eml", "eml_file", type=click.Path(path_type=Path), help="Write the mail here.")
@click.option("--as", "reader", metavar="ADDRESS", help="What this reader would get.")
def preview(
    reference: str,
    slot: str | None,
    html_file: Path | None,
    text_file: Path | None,
    eml_file: Path | None,
    reader: str | None,
) -> None:
    """Show the digest as most of its readers would see it. Prints the text, or writes files.

    Its links to unsubscribe and to the preferences page are not personal.

    \b
    Example:
      mailer digest preview daily/morning --html digest.html
    """
    address = None if reader is None else addresses.parse(reader)
    with opened() as app:
        with app.database.read() as session:
            about = find_target(session, reference, slot, now=app.times.wall())
            content = _content(app, session, about, address)
        warn_of_subject(content.subject)
        base_url = app.settings.base_url
        fields = {
            ReaderField.GREETING: greeting(app.templates, content.language, None),
            ReaderField.UNSUBSCRIBE: f"{base_url}/preferences",
            ReaderField.PREFERENCES: f"{base_url}/preferences",
        }
        text = split_text(content.text, content.marker).fill(fields)
        files: list[tuple[Path, bytes]] = []
        if text_file:
            files.append((text_file, text.encode()))
        if html_file:
            escaped = {name: markup.escape(value) for name, value in fields.items()}
            page = split_text(content.html, content.marker).fill(escaped)
            files.append((html_file, page.encode()))
        if eml_file:
            to = address.typed if address else _SOMEBODY
            files.append((eml_file, _bytes(app, about, content, to, fields)))
    _write(files)
    if not files:
        print_text(text)


@click.command(cls=Command)
@slot_options
@click.option("--to", "to", metavar="ADDRESS", multiple=True, required=True, help="Repeatable.")
def test(reference: str, slot: str | None, to: tuple[str, ...]) -> None:
    """Send a marked copy of the digest to an address. It counts for no reader.

    A running worker sends it.

    \b
    Example:
      mailer digest test daily/morning --to editor@news.example
    """
    parsed = {address.key: address for address in map(addresses.parse, to)}.values()
    with opened() as app:
        local_links.check(app.settings.base_url, app.settings.smtp_url)
        now = app.times.wall()
        with app.database.read() as session:
            about = find_target(session, reference, slot, now=now)
            content = _content(app, session, about, None)
        warn_of_subject(content.subject)
        marked = replace(content, subject=f"[Test] {content.subject}")
        with app.database.write() as session:
            for address in parsed:
                queue_notice(
                    session,
                    kind=NoticeKind.TEST,
                    address=address.typed,
                    key_hash=app.keys.key_hash(address.key),
                    content=marked,
                    now=now,
                    newsletter_id=about.newsletter.id,
                )
        copies = pluralise(len(parsed), "test copy", "test copies")
        message(f"queued {copies} of slot {about.slot.name} of {about.reference}")
        warn_if_nothing_sends(app)


def _content(app: "App", session: Session, about: Target, address: Address | None) -> Content:
    shown = shown_content(app, session, about, address)
    if shown is None:
        raise Refused(
            f"there are no articles for slot {about.slot.name}; "
            "`mailer feed refresh` fetches what is new"
        )
    if shown.nobody is not None:
        message(
            f"this is what somebody would get who has had nothing yet: as things stand, {shown.nobody}; "
            f"`mailer digest plan {about.reference}` tells more"
        )
    return shown.content


def shown_content(
    app: "App", session: Session, about: Target, address: Address | None
) -> Preview | None:
    """The edition that most readers, or this one, would get; None where there is nothing to show.

    Raises:
        NotFound: nobody with that address has a place in the newsletter.
        Refused: this reader would get nothing.
        BadMessage, BadTemplate: no mail can be made of it.
    """
    found = planning.plan_digest(session, about.schedule, about.slot)
    if address is None:
        sampled = planning.sample(session, about.schedule, found)
        if sampled is None:
            return None
        cohort, articles = sampled
    else:
        reader = one_reader(app, session, about, found, address, now=app.times.wall())
        if reader.cohort is None:
            raise Refused(f"this reader would get nothing: {address.typed} {reader.told}")
        cohort, articles = reader.cohort, found.articles
    _, content = render_cohort(found, about.newsletter, app.render, cohort, articles)
    return Preview(content, found.reason, found.due)


def _bytes(
    app: "App", about: Target, content: Content, to: str, fields: dict[ReaderField, str]
) -> bytes:
    """The mail as it would go over the wire, under a number that no digest has."""
    newsletter, now = about.newsletter, app.times.wall()
    headers = digest_headers(
        digest_id=0,
        slug=newsletter.slug,
        title=newsletter.title,
        list_id=newsletter.list_id,
        from_address=content.from_address,
        help_url=f"{app.settings.base_url}/preferences",
        automatic=about.schedule.holds is not Holds.NONE,
    )
    domain = addresses.parse(content.from_address).key.rpartition("@")[2]
    return compile_mail(content, headers).render(
        to=to,
        message_id=app.keys.message_id("delivery", 0, now, domain),
        date=now,
        headers=reader_headers(delivery_id=0, unsubscribe_url=fields[ReaderField.UNSUBSCRIBE]),
        fields=fields,
        utf8=True,
    )


def _write(files: list[tuple[Path, bytes]]) -> None:
    """Write all of them, or none where one has no place."""
    for path, _ in files:
        if path.is_dir() or not path.parent.is_dir():
            what = "it is a folder" if path.is_dir() else "there is no such folder"
            raise Refused(f"cannot write {path}: {what}; name another file")
    for path, data in files:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise Refused(f"cannot write {path}: {error.strerror}; name another file") from error
        message(f"wrote {path}")
