"""Writes rows as CSV, to a new file or to stdout, as they come. Never holds all of them."""

import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from mailer.cli.output import new_private_file, writing
from mailer.text.spreadsheet import BOM, csv_lines


def write_csv(
    columns: Sequence[str], rows: Iterable[Sequence[str | None]], path: Path | None
) -> None:
    """Write `rows` under their columns: to `path`, with the BOM that Excel needs, or else to stdout without.

    Raises:
        Refused: it cannot be written; then there is no file.
    """
    lines = csv_lines(chain([columns], rows))
    if path is None:
        with writing():
            sys.stdout.writelines(line.replace("\r\n", "\n") for line in lines)
        return
    with new_private_file(path) as file:
        file.write(BOM)
        file.writelines(lines)
