"""`mailer lint`: judges mails in files. Decides nothing itself, and needs no settings and no database."""

from pathlib import Path

import click

from mailer.cli.base import Command, json_option
from mailer.cli.output import print_json, print_table
from mailer.errors import Refused
from mailer.lint import Problem, judge
from mailer.text.english import pluralise


@click.command(cls=Command)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@json_option
def lint(files: tuple[Path, ...], as_json: bool) -> None:
    """Check mails in .eml files against the standards for bulk mail.

    The files must be as the mails went over the wire, with CRLF line ends.

    \b
    Example:
      mailer lint digest.eml
    """
    several = len(files) > 1
    judged = [(path, _judge(path, forgiving=several)) for path in files]
    if as_json:
        shapes = [_shape(path, found, several=several) for path, found in judged]
        print_json(shapes if several else shapes[0])
    else:
        print_table(
            ["file", "rule", "detail"],
            [row for path, found in judged for row in _rows(path, found)],
        )
    bad = sum(found != () for _, found in judged)
    if bad:
        raise Refused(
            f"{bad} of {pluralise(len(files), 'mail')} must be better;"
            " mend what is listed, then check again"
        )


def _judge(path: Path, *, forgiving: bool) -> tuple[Problem, ...] | Refused:
    """The problems of the mail in a file, or why it cannot be read where that is forgiven."""
    try:
        return judge(path.read_bytes())
    except OSError as error:
        refused = Refused(f"cannot read {path}: {error.strerror}; give the path of a mail")
        if forgiving:
            return refused
        raise refused from error


def _shape(path: Path, found: tuple[Problem, ...] | Refused, *, several: bool) -> dict[str, object]:
    file: dict[str, object] = {"file": str(path)} if several else {}
    if isinstance(found, Refused):
        return file | {"error": str(found)}
    problems = [{"rule": problem.rule, "detail": problem.detail} for problem in found]
    return file | {"ok": not problems, "problems": problems}


def _rows(path: Path, found: tuple[Problem, ...] | Refused) -> list[tuple[object, ...]]:
    if isinstance(found, Refused):
        return [(path, "error", found)]
    return [(path, problem.rule, problem.detail) for problem in found] or [(path, "ok", None)]
