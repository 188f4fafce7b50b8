"""`mailer digest`: what goes out. One file for each group of verbs."""

import click

from mailer.cli.digest.control import cancel, pause, resume
from mailer.cli.digest.edit import edit, once
from mailer.cli.digest.look import list_, show
from mailer.cli.digest.plan import plan
from mailer.cli.digest.preview import preview, test
from mailer.cli.digest.report import report
from mailer.cli.digest.send import send
from mailer.cli.verb import Noun


@click.group(cls=Noun)
def digest() -> None:
    """What goes out: plan, preview, test, edit, send, pause and cancel."""


for _verb in (plan, preview, test, edit, once, send, list_, show, pause, resume, cancel, report):
    digest.add_command(_verb)
