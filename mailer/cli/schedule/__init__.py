"""`mailer schedule`: when newsletters go out. One file for each group of verbs."""

import click

from mailer.cli.schedule.change import add, edit
from mailer.cli.schedule.control import pause, remove, resume
from mailer.cli.schedule.look import list_, next_, show
from mailer.cli.verb import Noun


@click.group(cls=Noun)
def schedule() -> None:
    """When newsletters go out."""


for _verb in (add, list_, show, edit, pause, resume, remove, next_):
    schedule.add_command(_verb)
