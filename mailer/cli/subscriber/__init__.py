"""`mailer subscriber`: who gets what. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "add": ("edit", "Add one reader."),
    "list": ("show", "List readers and what they get, including those who left."),
    "show": (
        "show",
        "Show what a reader gets, what they were sent, what they were not sent and why, and what came back.",
    ),
    "edit": ("edit", "Change a reader's name, language or address."),
    "unsubscribe": (
        "edit",
        "Unsubscribe a reader at once, even from a digest that is being sent.",
    ),
    "erase": ("personal_data", "Erase a person: delete what is held about them, for good."),
    "data": ("personal_data", "Show everything that is held about a person, for them to read."),
    "import": (
        "importing",
        "Import readers from a CSV file, such as the export of another newsletter service.",
    ),
    "export": (
        "export",
        "Export readers as CSV: a row for each subscription, also of those who left.",
    ),
}
"""Each command's module in this package, and its line in `mailer subscriber --help`."""

subscriber = LazyGroup("subscriber", package=__name__, table=COMMANDS, help="Manage readers.")
