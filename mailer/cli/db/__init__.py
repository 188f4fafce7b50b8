"""`mailer db`: the database as a whole. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "upgrade": ("schema", "Upgrade the database to the current schema, completely or not at all."),
    "check": (
        "schema",
        "Check that the schema is current and that no row refers to a missing one; exit with 1 if not.",
    ),
    "backup": ("backup", "Write a backup of the whole database to FILE, while everything goes on."),
    "move": ("move", "Move everything to an empty PostgreSQL database, or take that back."),
    "restore": ("restore", "Put the backup FILE in the place of the database."),
}
"""Each command's module in this package, and its line in `mailer db --help`."""

db = LazyGroup(
    "db",
    package=__name__,
    table=COMMANDS,
    help="Upgrade, check, back up, restore or move the database.",
)
