"""`mailer digest`: what goes out. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "plan": ("plan", "Show who would get what at a slot, and why others would get nothing."),
    "preview": ("preview", "Show the digest as most of its readers would see it."),
    "test": ("preview", "Send a marked copy of the digest to an address."),
    "edit": ("edit", "Change the coming digest, whichever slot it is for."),
    "once": (
        "edit",
        "Send something once, to the readers of all schedules of the newsletter SLUG.",
    ),
    "send": ("send", "Build the digest of a slot now, and send it."),
    "list": ("show", "List digests, newest first: all of them, or those of one newsletter."),
    "show": ("show", "Show a digest: its editions, how many mails have been sent, and how fast."),
    "pause": ("pause", "Pause a digest that is being sent, until `mailer digest resume`."),
    "resume": ("pause", "Resume a digest that was paused, by staff or automatically."),
    "cancel": ("pause", "Cancel a digest for good."),
    "report": (
        "report",
        "Report how a digest went: sent, failed, in doubt, unsubscribed since, and what came back.",
    ),
}
"""Each command's module in this package, and its line in `mailer digest --help`."""

digest = LazyGroup(
    "digest",
    package=__name__,
    table=COMMANDS,
    help="Plan, preview, edit and send what goes out.",
)
