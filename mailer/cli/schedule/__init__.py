"""`mailer schedule`: when newsletters go out. One file for each group of verbs, loaded when one is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

VERBS: Final[dict[str, tuple[str, str]]] = {
    "add": ("mailer.cli.schedule.edit:add", "Give the newsletter SLUG a schedule."),
    "list": (
        "mailer.cli.schedule.show:list_",
        "List the schedules with their next slots; one-offs until they are over.",
    ),
    "show": ("mailer.cli.schedule.show:show", "Show all about one schedule."),
    "edit": ("mailer.cli.schedule.edit:edit", "Change what is given."),
    "pause": (
        "mailer.cli.schedule.pause:pause",
        "Let no slot fire until the schedule is resumed.",
    ),
    "resume": (
        "mailer.cli.schedule.pause:resume",
        "Let slots fire again, from the next one on.",
    ),
    "remove": ("mailer.cli.schedule.pause:remove", "End a schedule."),
    "next": (
        "mailer.cli.schedule.show:next_",
        "Print the coming slots in local time, UTC and zone.",
    ),
}
"""Every verb: where its command is, and its line in `mailer schedule --help`."""

schedule = LazyGroup("schedule", table=VERBS, help="When newsletters go out.")
