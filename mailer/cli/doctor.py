"""`mailer doctor`: checks whether mail from this installation will be delivered."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json, print_text
from mailer.cli.parameters import Parsed
from mailer.doctor.dns.resolver import Resolver, parse_server
from mailer.errors import Refused
from mailer.text.english import pluralise
from mailer.text.untrusted import printable_line

if TYPE_CHECKING:
    from mailer.app import App
    from mailer.doctor.dns.answers import LookUp
    from mailer.doctor.finding import CheckFinding

_LARGEST_MAIL: Final = 20_000_000


@click.command(cls=Command)
@click.option(
    "--resolver",
    type=Parsed("address", parse_server),
    metavar="ADDRESS[:PORT]",
    help="Ask this DNS resolver, not the system's.",
)
@click.option(
    "--eml",
    "mail_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Check this mail instead, as a reader received it.",
)
@json_option
def doctor(resolver: tuple[str, int] | None, mail_file: Path | None, as_json: bool) -> None:
    """Check DNS, the relay, the website and this machine; exit with 1 if there is a problem.

    Sends no mail. Asks only the DNS resolver, and the relay, website and mailbox of the settings.
    Problems come first, each with the rule it breaks, what to do, and the record to publish.

    \b
    Example:
      mailer doctor
      mailer doctor --resolver 9.9.9.9
      mailer doctor --eml received.eml
    """
    look_up = Resolver(resolver)
    raw = None if mail_file is None else _read(mail_file)
    with opened(check_schema=False) as app:
        if raw is None:
            findings = _of_installation(app, look_up)
            _keep(app, findings)
        else:
            findings = _of_mail(app, look_up, raw)
    problems = [finding for finding in findings if finding.severity == "problem"]
    if as_json:
        print_json({"ok": not problems, "findings": findings})
    else:
        _print(findings)
    if problems:
        raise Refused(
            f"{pluralise(len(problems), 'problem')} found; do what is listed, then run this again"
        )


def _of_installation(app: "App", look_up: "LookUp") -> "list[CheckFinding]":
    from mailer.doctor.checks import Examination
    from mailer.doctor.examine import run_checks
    from mailer.doctor.facts import read_facts

    schema, newsletters = read_facts(app)
    examination = Examination(app, look_up, newsletters)
    findings = run_checks(examination.checks(), _show_progress)
    return [*findings, schema, examination.clock()]


def _keep(app: "App", findings: "list[CheckFinding]") -> None:
    """Keep what was found for `mailer status`, if the database can be written."""
    from mailer.db import explain
    from mailer.monitoring.last_doctor import KeptFinding, keep

    if any(finding.check == "schema" and finding.severity != "ok" for finding in findings):
        return
    kept = [
        KeptFinding(
            is_problem=finding.severity == "problem",
            text=": ".join(part for part in (finding.check, finding.subject, finding.what) if part),
            do=finding.do or "",
        )
        for finding in findings
        if finding.severity != "ok"
    ]
    try:
        with app.database.write() as session:
            keep(session, kept, now=app.times.wall())
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        message(f"`mailer status` will not show this: {explained}")


def _of_mail(app: "App", look_up: "LookUp", raw: bytes) -> "list[CheckFinding]":
    from mailer.doctor.received_mail import judge_received_mail

    bounce = app.settings.bounce_address
    domain = None if bounce is None else bounce.domain
    return judge_received_mail(
        raw, look_up, bounce_domain=domain, has_webhooks=bool(app.settings.webhook_keys)
    )


def _read(path: Path) -> bytes:
    """Read a mail.

    Raises:
        Refused: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_MAIL)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}; give the path of a mail") from error


def _show_progress(title: str, done: int, number: int) -> None:
    # Only on a terminal, where the line is written again and again.
    if sys.stderr.isatty():
        end = "\r\x1b[K" if done == number else ""
        sys.stderr.write(f"\r\x1b[Kchecked {done} of {number}: {title}{end}")
        sys.stderr.flush()


def _print(findings: "list[CheckFinding]") -> None:
    """Print problems, then warnings, then a line for each thing that is fine."""
    for severity in ("problem", "warning"):
        for finding in findings:
            if finding.severity == severity:
                print_text(f"{severity.upper()}  {_head(finding)}")
                print_text("\n".join(f"  {line}" for line in _details(finding)))
                print_text("")
    for finding in findings:
        if finding.severity == "ok":
            by_hand = f" (by hand: {finding.do})" if finding.do else ""
            print_text(f"ok  {_head(finding)}: {printable_line(finding.what)}{by_hand}")


def _head(finding: "CheckFinding") -> str:
    return f"{finding.check}  {printable_line(finding.subject)}".rstrip()


def _details(finding: "CheckFinding") -> Iterator[str]:
    from mailer.message.dkim_keys import txt_strings

    yield printable_line(finding.what)
    if finding.rule is not None:
        yield f"why: {finding.rule.text}"
        yield f"     {finding.rule.page}"
    if finding.do is not None:
        yield f"do: {printable_line(finding.do)}"
    if finding.record is not None:
        record = finding.record
        yield f"publish: {record.name}  {record.type}  {printable_line(record.value)}"
        strings = txt_strings(record.value)
        if len(strings) > 1:
            yield printable_line("in pieces: " + " ".join(f'"{string}"' for string in strings))
