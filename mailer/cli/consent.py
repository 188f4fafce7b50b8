"""`mailer consent`: shows what a reader agreed to, and when."""

from pathlib import Path

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import print_list, write_private_file
from mailer.errors import NotFound
from mailer.subscribers.readers import consent_of
from mailer.subscribers.rights.consent_record import render_consent_record


@click.group(cls=Group)
def consent() -> None:
    """Show what a reader agreed to, and when."""


@consent.command
@click.argument("address")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page to print or pass on.",
)
@json_option
def show(address: str, html: Path | None, as_json: bool) -> None:
    """Show the consent log of one address, with the exact sentences that were shown.

    The page is in the language of those sentences, stands alone, and loads nothing from elsewhere.

    \b
    Example:
      mailer consent show anna@example.com --json
      mailer consent show anna@example.com --html anna-consent.html
    """
    parsed = parse(address)
    with opened() as app:
        with app.database.read() as session:
            lines = consent_of(session, app.keys.key_hash(parsed.key))
        if not lines:
            raise NotFound(
                f"the consent log has nothing on {parsed.typed}; check how it is written"
            )
        if html is not None:
            language = next((line.language for line in reversed(lines) if line.language), "en")
            page = render_consent_record(
                app.templates, parsed.typed, lines, language, now=app.times.wall()
            )
            write_private_file(html, page)
            if not as_json:
                return
    columns = (
        ("when", "at"),
        ("what", "kind"),
        "newsletter",
        "schedule",
        ("where", "source"),
        ("IP address", "ip"),
        ("sentence shown", "wording"),
    )
    print_list(lines, columns, as_json=as_json)
