"""`mailer digest preview` and `test`: the coming digest as its readers would see it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mailer import address as addresses
from mailer.address import Address
from mailer.cli.base import Command, opened, warn_if_nothing_sends
from mailer.cli.digest.show import warn_of_subject
from mailer.cli.output import message, print_text, write_files
from mailer.cli.parameters import FILE, slot_options
from mailer.errors import Refused
from mailer.message.content import Content
from mailer.message.reader_fields import ReaderField
from mailer.models import NoticeKind
from mailer.monitoring.digest_reference import DigestTarget, coming_target
from mailer.monitoring.preview import fill, make_mail, read_preview
from mailer.notices.notice import queue_notice
from mailer.sending.composer import greeting
from mailer.settings import local_links
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App

_SAMPLE_READER: Final = "reader@example.com"


@click.command(cls=Command)
@slot_options
@click.option("--html", "html_file", type=FILE, help="Write the HTML to this file.")
@click.option("--text", "text_file", type=FILE, help="Write the text to this file.")
@click.option("--eml", "eml_file", type=FILE, help="Write the mail to this file.")
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
        target, content = _read(app, reference, slot, address)
        base_url = app.settings.base_url
        fields = {
            ReaderField.GREETING: greeting(app.templates, content.language, None),
            ReaderField.UNSUBSCRIBE: f"{base_url}/preferences",
            ReaderField.PREFERENCES: f"{base_url}/preferences",
        }
        text, page = fill(content, fields)
        files: dict[Path, bytes] = {}
        if text_file:
            files[text_file] = text.encode()
        if html_file:
            files[html_file] = page.encode()
        if eml_file:
            files[eml_file] = make_mail(
                target,
                content,
                address.typed if address else _SAMPLE_READER,
                fields,
                keys=app.keys,
                options=app.mail_options,
                dkim_signer=app.dkim_signer,
                now=app.times.wall(),
            )
    write_files(files)
    if not files:
        print_text(text)


@click.command(cls=Command)
@slot_options
@click.option(
    "--to", "to", metavar="ADDRESS", multiple=True, required=True, help="Who gets it. Repeatable."
)
def test(reference: str, slot: str | None, to: tuple[str, ...]) -> None:
    """Send a marked copy of the digest to an address. It does not count as received by anyone.

    A running worker sends it.

    \b
    Example:
      mailer digest test daily/morning --to editor@news.example
    """
    recipients = {address.key: address for address in map(addresses.parse, to)}.values()
    with opened() as app:
        local_links.check(app.settings.base_url, app.settings.smtp_url)
        target, content = _read(app, reference, slot, None)
        with app.database.write() as session:
            for address in recipients:
                queue_notice(
                    session,
                    kind=NoticeKind.TEST,
                    address=address.typed,
                    key_hash=app.keys.key_hash(address.key),
                    content=replace(content, subject=f"[Test] {content.subject}"),
                    now=app.times.wall(),
                    newsletter_id=target.newsletter.id,
                )
        copies = pluralise(len(recipients), "test copy", "test copies")
        message(f"queued {copies} of slot {target.slot.name} of {target.reference}")
        warn_if_nothing_sends(app)


def _read(
    app: "App", reference: str, slot: str | None, reader: Address | None
) -> tuple[DigestTarget, Content]:
    """Read the digest that is to be shown, and tell what is odd about it.

    Raises:
        Refused: there is nothing to show.
    """
    now = app.times.wall()
    with app.database.read() as session:
        target = coming_target(session, reference, slot, now=now)
        shown = read_preview(session, target, reader, keys=app.keys, render=app.render, now=now)
    if shown is None:
        raise Refused(
            f"there are no articles for slot {target.slot.name}; "
            "`mailer feed refresh` fetches what is new"
        )
    if shown.why_nobody is not None:
        message(
            "this is what a reader who has been sent nothing yet would get: as things stand, "
            f"{shown.why_nobody}; `mailer digest plan {target.reference}` shows more"
        )
    warn_of_subject(shown.content.subject)
    return target, shown.content
