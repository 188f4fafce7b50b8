"""`mailer suppression`: who gets no mail. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "add": ("edit", "Block an address: it gets no more mail, even if it is imported again."),
    "lift": (
        "edit",
        "Lift every suppression of an address. The reader stays unsubscribed from what they left.",
    ),
    "list": (
        "show",
        "List the addresses that get no mail, and why: what came back, of which digest, or a note by staff.",
    ),
    "import": (
        "importing",
        "Block the addresses in a file: one a line, or CSV with a column `email`.",
    ),
    "export": ("show", "Export the addresses that get no mail of any newsletter, as CSV."),
}
"""Each command's module in this package, and its line in `mailer suppression --help`."""

suppression = LazyGroup(
    "suppression", package=__name__, table=COMMANDS, help="Manage addresses that get no mail."
)
