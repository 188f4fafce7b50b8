"""Reads which newsletter and schedule a command is about. Never changes anything."""

from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import with_options
from mailer.newsletters.offer import find_option, offer
from mailer.subscribers.signup import ScheduleChoice

if TYPE_CHECKING:
    from mailer.app import App

choice_options: Final = with_options(
    click.option("--newsletter", metavar="SLUG", required=True, help="What they subscribe to."),
    click.option(
        "--schedule",
        metavar="SLUG/NAME",
        help="When they get it (default: the newsletter's default schedule).",
    ),
)
"""Gives a command the parameters `newsletter` and `schedule`."""


def chosen_schedule(app: "App", slug: str, schedule: str | None) -> ScheduleChoice:
    """Find the newsletter `slug`, and its schedule if one is named.

    Raises:
        NotFound: there is no such newsletter or schedule.
        Refused: the newsletter has no schedule at all.
    """
    with app.database.read() as session:
        offered = offer(session, app.publisher, slug)
    return ScheduleChoice(offered, find_option(offered, schedule))
