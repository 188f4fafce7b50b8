"""`mailer lint`: checks mails in files against the standards. Needs no settings and no database."""

from pathlib import Path
from typing import Any

import click

from mailer.cli.base import Command, json_option
from mailer.cli.output import print_json, print_table
from mailer.errors import Refused
from mailer.lint import judge
from mailer.text.english import pluralise


@click.command(cls=Command)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@json_option
def lint(files: tuple[Path, ...], as_json: bool) -> None:
    """Check mails in .eml files against the standards for bulk mail.

    The files must hold the mails exactly as sent, with CRLF line endings.

    \b
    Example:
      mailer lint digest.eml
    """
    several = len(files) > 1
    checks = [_check(path, skip_unreadable=several) for path in files]
    if as_json:
        named = [{"file": str(path)} | data for path, data in zip(files, checks, strict=True)]
        print_json(named if several else checks[0])
    else:
        rows = [row for path, data in zip(files, checks, strict=True) for row in _rows(path, data)]
        print_table(["file", "rule", "detail"], rows)
    bad = sum(not data.get("ok") for data in checks)
    if bad:
        raise Refused(
            f"{bad} of {pluralise(len(files), 'mail')} failed the check;"
            " fix what is listed, then check again"
        )


def _check(path: Path, *, skip_unreadable: bool) -> dict[str, Any]:
    """Check the mail in a file; if it cannot be read and may be skipped, say why.

    Raises:
        Refused: it cannot be read, and may not be skipped.
    """
    try:
        problems = judge(path.read_bytes())
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}; give the path of a mail"
        if skip_unreadable:
            return {"error": reason}
        raise Refused(reason) from error
    return {"ok": not problems, "problems": problems}


def _rows(path: Path, data: dict[str, Any]) -> list[tuple[object, ...]]:
    if "error" in data:
        return [(path, "error", data["error"])]
    problems = data["problems"]
    return [(path, problem.rule, problem.detail) for problem in problems] or [(path, "ok", None)]
