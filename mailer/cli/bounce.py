"""`mailer bounce`: reads the mails that come back. `classify` needs no settings and no database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mailer.cli.base import Group, json_option, opened
from mailer.cli.long_running import rows_in_lines, stop_signals
from mailer.cli.output import message, print_json, print_record, print_table
from mailer.errors import MailerError, Refused
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App
    from mailer.bounces.reading.returned import ReturnedMail


TRY_AGAIN: Final = 75
"""EX_TEMPFAIL: a mail server keeps the mail and tries again. With any other code it returns the mail to
nobody, because a bounce has no sender, and what it reports would be lost."""

_IN_WORDS: Final = {
    "recorded": "recorded",
    "repeated": "recorded before",
    "not_ours": "about no mail of ours, so nothing was recorded",
    "nothing": "reports nothing to record",
}


@click.group(cls=Group)
def bounce() -> None:
    """Read mails that come back: bounces, complaints, automatic replies."""


@bounce.command
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@json_option
def classify(files: tuple[Path, ...], as_json: bool) -> None:
    """Tell what each mail reports: a bounce, a complaint, an automatic reply, or nothing that failed.

    A hard bounce says that every later mail would fail, too; a soft one does not. docs/bounces.md explains
    the reasons. Nothing is stored, and nobody's subscription changes.

    \b
    Example:
      mailer bounce classify returned.eml
    """
    several = len(files) > 1
    read = [_classify(path, skip_unreadable=several) for path in files]
    if not as_json:
        print_table(
            ["file", "kind", "reason", "recipients"],
            [_row(path, data) for path, data in zip(files, read, strict=True)],
        )
    elif several:
        print_json([{"file": str(path)} | data for path, data in zip(files, read, strict=True)])
    else:
        print_json(read[0])


def _classify(path: Path, *, skip_unreadable: bool) -> dict[str, Any]:
    """Read the mail in a file; if it cannot be read and may be skipped, say why.

    Raises:
        Refused: it cannot be read, and may not be skipped.
    """
    from mailer.bounces.reading.read import read_returned

    try:
        return _as_data(read_returned(_bytes_of(path)))
    except Refused as error:
        if skip_unreadable:
            return {"error": str(error)}
        raise


def _bytes_of(path: Path) -> bytes:
    """Read the beginning of a mail, as much of it as counts.

    Raises:
        Refused: the file cannot be read.
    """
    from mailer.bounces.reading.mime import LONGEST_READ

    try:
        with path.open("rb") as file:
            return file.read(LONGEST_READ)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}; give the path of a mail") from error


def _as_data(mail: "ReturnedMail") -> dict[str, Any]:
    return {
        "kind": mail.kind.value,
        "recipients": [
            {
                "address": recipient.address,
                "action": recipient.action,
                "status": recipient.status,
                "diagnostic": recipient.diagnostic,
            }
            for recipient in mail.recipients
        ],
        "reason": mail.reason.value,
    }


def _row(path: Path, data: dict[str, Any]) -> tuple[object, ...]:
    if "error" in data:
        return path, "error", data["error"], None
    addresses = (recipient["address"] or "unknown" for recipient in data["recipients"])
    return path, data["kind"], data["reason"], ", ".join(addresses) or None


@bounce.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@json_option
def process(files: tuple[Path, ...], as_json: bool) -> None:
    """Record what a returned mail reports. Without FILE it is read from stdin.

    A mail server runs this for each mail to the bounce address. If the mail cannot be recorded now, this ends
    with exit code 75, so that the mail server tries again. docs/operations.md explains the set-up.

    \b
    Example, and the file .forward of the user that runs the mailer, for Postfix:
      mailer bounce process returned.eml
      "|cd /srv/mailer && .venv/bin/mailer bounce process"
    """
    results = _process_files(files) if files else [_process_stdin()]
    if as_json:
        print_json(results if len(results) > 1 else results[0])
    else:
        for result in results:
            message(_in_words(result))
    unread = sum("error" in result for result in results)
    if unread:
        raise Refused(
            f"{pluralise(unread, 'file')} could not be read, and what the others report is recorded; "
            "correct the paths and repeat the command"
        )


def _in_words(result: dict[str, Any]) -> str:
    if "error" in result:
        return str(result["error"])
    where = f"{result['file']}: " if "file" in result else ""
    return f"{where}{result['kind']} ({result['reason']}): {_IN_WORDS[result['result']]}"


def _process_files(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Record what the mails in these files report; one of several that cannot be read has its error.

    Raises:
        Refused: the only file cannot be read.
    """
    results = []
    with opened() as app:
        for path in files:
            try:
                raw = _bytes_of(path)
            except Refused as error:
                if len(files) == 1:
                    raise
                result = {"error": str(error)}
            else:
                result = _taken_in(app, raw)
            results.append({"file": str(path)} | result)
    return results


def _process_stdin() -> dict[str, Any]:
    from mailer.bounces.reading.mime import LONGEST_READ

    if sys.stdin is None or sys.stdin.isatty():
        raise Refused("give the FILE of a returned mail, or pipe one into this command")
    raw = sys.stdin.buffer.read(LONGEST_READ)
    # A mail server may take it for a failure if the rest is not read.
    while sys.stdin.buffer.read(LONGEST_READ):
        pass
    try:
        with opened() as app:
            return _taken_in(app, raw)
    except Exception as error:
        from mailer import db

        explained = error if isinstance(error, MailerError) else db.explain(error)
        message(f"error: {explained or repr(error)}")
        raise click.exceptions.Exit(TRY_AGAIN) from error


def _taken_in(app: "App", raw: bytes) -> dict[str, Any]:
    from mailer.bounces.intake.take_in import take_in
    from mailer.bounces.reading.read import read_returned

    returned = read_returned(raw)
    with app.database.write() as session:
        result = take_in(session, returned, app.keys, source="pipe", now=app.times.wall())
    return {"kind": returned.kind, "reason": returned.reason, "result": result}


@bounce.command
@json_option
def fetch(as_json: bool) -> None:
    """Read the mailbox that bounce_fetch_url names, and record what its unread mails report.

    Mails that are recorded are removed from it; all others stay, marked as read. The scheduler does the same
    every 5 minutes.

    \b
    Example:
      mailer bounce fetch
    """
    from mailer.bounces.intake.fetch import fetch as fetch_mails

    with opened() as app, stop_signals("stopping after these mails") as is_stopping:
        context = app.mailbox_context
        if context is None:
            raise Refused(
                "no mailbox is set; set bounce_fetch_url, such as imaps://USER:PASSWORD@HOST/INBOX"
            )
        show = rows_in_lines(message)
        done = 0

        def on_batch(mails: int) -> None:
            nonlocal done
            done += mails
            show(done)

        counts = fetch_mails(context, is_stopping=is_stopping, on_batch=on_batch)
        stopped = is_stopping()
    results = dict.fromkeys(_IN_WORDS, 0) | {str(name): n for name, n in counts.items()}
    if as_json:
        print_json(results)
    elif not done:
        message("no unread mail")
    else:
        print_record({words: results[name] for name, words in _IN_WORDS.items() if results[name]})
    if stopped:
        taken = pluralise(done, "mail")
        raise Refused(f"stopped after {taken}; repeat the command to go on with the rest")
