"""`mailer schedule`: when newsletters go out. Each file is loaded when one of its commands is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "add": ("edit", "Add a schedule to the newsletter SLUG."),
    "list": ("show", "List the schedules with their next slots; one-offs until they are over."),
    "show": ("show", "Show everything about one schedule."),
    "edit": ("edit", "Change the settings of a schedule."),
    "pause": ("pause", "Stop a schedule until you resume it."),
    "resume": ("pause", "Resume a schedule, from its next slot on."),
    "remove": ("pause", "Remove a schedule."),
    "next": ("show", "List the coming slots in local time, UTC and zone."),
}
"""Each command's module in this package, and its line in `mailer schedule --help`."""

schedule = LazyGroup(
    "schedule",
    package=__name__,
    table=COMMANDS,
    help="Manage when newsletters go out. A slot is one time at which a schedule sends a digest.",
)
