"""`mailer digest report`: how a digest went."""

from dataclasses import asdict
from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json, print_text
from mailer.cli.parameters import ROW_ID
from mailer.digests.staff_mail.report import read_report, report_content
from mailer.errors import Refused
from mailer.models import DigestStatus


@click.command(cls=Command)
@click.argument("digest_id", metavar="ID", type=ROW_ID)
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a page here.")
@json_option
def report(digest_id: int, html_file: Path | None, as_json: bool) -> None:
    """Report how a digest went: sent, failed and why, in doubt, and who left since.

    The same goes to `staff_address` once, when all of it is sent.

    \b
    Example:
      mailer digest report 12 --html report.html
    """
    with opened() as app, app.database.read() as session:
        found = read_report(session, digest_id)
        content = report_content(session, app.alerts, found)
    if found.digest.status is not DigestStatus.SENT:
        why = f" ({found.digest.reason})" if found.digest.reason else ""
        message(f"digest {digest_id} is {found.digest.status}{why}; these are its numbers by now")
    if html_file is not None:
        try:
            html_file.write_text(content.html, encoding="utf-8")
        except OSError as error:
            raise Refused(
                f"cannot write {html_file}: {error.strerror}; name another file"
            ) from error
        message(f"wrote {html_file}")
    if as_json:
        deliveries = asdict(found.deliveries)
        in_doubt = deliveries.pop("in_doubt")
        print_json(
            {
                **asdict(found.digest),
                "deliveries": deliveries,
                "in_doubt": in_doubt,
                "failures": dict(found.failures),
                "domains": dict(found.domains),
                "left": found.left,
            }
        )
    elif html_file is None:
        print_text(content.text.rstrip())
