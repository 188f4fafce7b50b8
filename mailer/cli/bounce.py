"""`mailer bounce`: reads the mails that come back. `classify` needs no settings and no database."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.base import Group, json_option
from mailer.cli.output import print_json, print_table
from mailer.errors import Refused

if TYPE_CHECKING:
    from mailer.bounces.reading.returned import ReturnedMail


@click.group(cls=Group)
def bounce() -> None:
    """Read bounces, complaints and automatic replies."""


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
    from mailer.bounces.reading.mime import LONGEST_READ
    from mailer.bounces.reading.read import read_returned

    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_READ)
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}; give the path of a mail"
        if skip_unreadable:
            return {"error": reason}
        raise Refused(reason) from error
    return _as_data(read_returned(raw))


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
