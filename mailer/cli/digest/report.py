"""`mailer digest report`: reports how a digest went."""

from dataclasses import asdict
from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json, print_text, write_files
from mailer.cli.parameters import FILE, digest_id_argument
from mailer.digests.staff_mail.report import read_report, report_content
from mailer.models import DigestStatus


@click.command(cls=Command)
@digest_id_argument
@click.option("--html", "html_file", type=FILE, help="Write an HTML page to this file.")
@json_option
def report(digest_id: int, html_file: Path | None, as_json: bool) -> None:
    """Report how a digest went: sent, failed, in doubt, unsubscribed since, and what came back.

    The same is mailed once to `staff_address`, when the digest is sent.

    \b
    Example:
      mailer digest report 12 --html report.html
    """
    with opened() as app, app.database.read() as session:
        report = read_report(session, digest_id)
        content = report_content(session, app.alerts, report)
    if report.digest.status is not DigestStatus.SENT:
        why = f" ({report.digest.reason})" if report.digest.reason else ""
        message(f"digest {digest_id} is {report.digest.status}{why}; these are its numbers so far")
    if html_file is not None:
        write_files({html_file: content.html.encode()})
    if as_json:
        deliveries = asdict(report.deliveries)
        in_doubt = deliveries.pop("in_doubt")
        print_json(
            {
                **asdict(report.digest),
                "deliveries": deliveries,
                "in_doubt": in_doubt,
                "failures": dict(report.failures),
                "domains": dict(report.domains),
                "left": report.left,
                "returned": {
                    **asdict(report.returned),
                    "hard_rate": round(report.returned.hard_rate, 6),
                    "complaint_rate": round(report.returned.complaint_rate, 6),
                },
                "returned_reasons": dict(report.returned_reasons),
                "returned_domains": report.returned_domains,
            }
        )
    elif html_file is None:
        print_text(content.text.rstrip())
