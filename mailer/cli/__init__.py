"""The command line: finds the noun that was asked for and loads its file, and nothing else.

So that `mailer --help` is quick, nothing here may import SQLAlchemy or any part of the program that does.
"""

import gc
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from mailer import __version__
from mailer.cli.lazy import LazyGroup
from mailer.errors import BadAddress, MailerError
from mailer.text.untrusted import printable_line

NOUNS: Final[dict[str, tuple[str, str]]] = {
    "init": ("mailer.cli.init:init", "Write the configuration and make the database."),
    "config": ("mailer.cli.config:config", "Show the settings and where they come from."),
    "status": ("mailer.cli.status:status", "What runs, what waits, and the next slots."),
    "pause": ("mailer.cli.pause:pause", "Stop all sending."),
    "resume": ("mailer.cli.resume:resume", "Send again after a pause."),
    "db": ("mailer.cli.db:db", "Upgrade or check the database."),
    "run": ("mailer.cli.run:run", "Run the web server, the scheduler and the worker."),
    "demo": ("mailer.cli.demo:demo", "Try everything with a sample newsroom."),
    "newsletter": ("mailer.cli.newsletter:newsletter", "The publication lines."),
    "feed": ("mailer.cli.feed:feed", "Where articles come from."),
    "article": ("mailer.cli.article:article", "The articles that came in."),
    "schedule": ("mailer.cli.schedule:schedule", "When newsletters go out."),
    "digest": ("mailer.cli.digest:digest", "What goes out: plan, preview, test and send."),
    "delivery": ("mailer.cli.delivery:delivery", "Who was sent what."),
    "subscriber": ("mailer.cli.subscriber:subscriber", "The readers."),
    "consent": ("mailer.cli.consent:consent", "What a reader agreed to, and when."),
    "suppression": ("mailer.cli.suppression:suppression", "Addresses that get no mail."),
    "address": ("mailer.cli.address:address", "Check mail addresses."),
    "lint": ("mailer.cli.lint:lint", "Check mails against the standards."),
}
"""Every noun: where its command is, and its line in `mailer --help`."""

INTERRUPTED: Final = 130


@click.group(cls=LazyGroup, table=NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailer")
def main_group() -> None:
    """Newsletters of a newsroom: feeds in, digests out, to each reader once.

    Settings come from mailer.toml (or the file that MAILER_CONFIG names) and from MAILER_… variables.

    \b
    Example:
      mailer init
      mailer newsletter --help
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 bad usage, 130 interrupted.
    """
    if args is None:
        return _run(sys.argv[1:])
    try:
        return _run(list(args))
    finally:
        # Here the process goes on after the command, and what the command kept may go.
        gc.unfreeze()


def _run(typed: list[str]) -> int:
    try:
        return int(main_group.main(typed, prog_name="mailer", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        wrong = error.format_message()
        end = "" if wrong.endswith((".", "?")) else "."
        see = f"{end} See `{context.command_path} --help`." if context else ""
        return _fail(wrong + see, error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except BadAddress as error:
        return _fail(f"{error} Check how the address is written.")
    except MailerError as error:
        return _fail(str(error))
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 come as surrogates, which neither a database nor a mail can hold.
        if not any("\ud800" <= letter <= "\udfff" for word in typed for letter in word):
            raise
        return _fail("an argument is no text in UTF-8; type it again in UTF-8", 2)
    except Exception as error:
        told = _told_by_the_database(error)
        if told is None:
            raise
        return _fail(str(told))


def _fail(message: str, code: int = 1) -> int:
    click.echo(f"error: {printable_line(message)}", err=True)
    return code


def _told_by_the_database(error: Exception) -> MailerError | None:
    """What to tell of an error of the database's driver, or None where it is something else."""
    # Where SQLAlchemy was never imported the error cannot be one of its own.
    database: Any = sys.modules.get("mailer.db")
    return None if database is None else database.explain(error)
