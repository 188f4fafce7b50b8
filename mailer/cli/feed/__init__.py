"""`mailer feed`: where articles come from. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "add": ("edit", "Add the feed at URL to a newsletter."),
    "list": ("show", "List the feeds: which newsletters use them, and how the last fetch went."),
    "refresh": ("edit", "Fetch these feeds now, or all of them, whether or not they changed."),
    "remove": ("edit", "Remove a feed from all newsletters, or from one."),
    "accept": (
        "edit",
        "Accept that a feed's site has moved: its new address, and the entries that are held.",
    ),
    "discard": ("edit", "Discard the entries of a feed that are held; they are ignored for good."),
    "parse": ("show", "Read feed files and show what a fetch would take from them."),
}
"""Each command's module in this package, and its line in `mailer feed --help`."""

feed = LazyGroup(
    "feed",
    package=__name__,
    table=COMMANDS,
    help="Manage the feeds that articles come from: RSS, Atom or JSON Feed.",
)
