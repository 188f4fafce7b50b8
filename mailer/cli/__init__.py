"""Runs the command line: finds the command that was typed, loads its file, and turns errors into exit codes.

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

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("init", "Write the configuration and create the database."),
    "config": ("config", "Show the settings and where they come from."),
    "status": ("status", "Show what runs, what waits, and what goes out next."),
    "doctor": ("doctor", "Check whether mail will be delivered: DNS, relay, website."),
    "pause": ("pause", "Stop all sending."),
    "resume": ("pause", "Start sending again."),
    "db": ("db", "Upgrade, check, back up, restore or move the database."),
    "dkim": ("dkim", "Make keys that sign mails."),
    "run": ("run", "Run the web server, the scheduler and the worker."),
    "demo": ("demo", "Try everything with a sample newsroom."),
    "newsletter": ("newsletter", "Manage newsletters."),
    "feed": ("feed", "Manage the feeds that articles come from."),
    "article": ("article", "Manage articles."),
    "schedule": ("schedule", "Manage when newsletters go out."),
    "digest": ("digest", "Plan, preview, edit and send what goes out."),
    "delivery": ("delivery", "Show who was sent what."),
    "subscriber": ("subscriber", "Manage readers."),
    "consent": ("consent", "Show what a reader agreed to, and when."),
    "bounce": ("bounce", "Read the mails that come back."),
    "webhook": ("webhook", "Show where mail providers report."),
    "suppression": ("suppression", "Manage addresses that get no mail."),
    "address": ("address", "Check email addresses."),
    "lint": ("lint", "Check mails against the standards."),
}
"""Each command's module in this package, and its line in `mailer --help`."""

INTERRUPTED: Final = 130


@click.group(
    cls=LazyGroup,
    package=__name__,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="mailer")
def main_group() -> None:
    """Send a newsroom's newsletters: articles from its feeds, at set times, once to each reader.

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
        # This process goes on after the command, so what the command imported may be collected.
        gc.unfreeze()


def _run(typed: list[str]) -> int:
    try:
        return int(main_group.main(typed, prog_name="mailer", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        problem = error.format_message()
        end = "" if problem.endswith((".", "?")) else "."
        see = f"{end} See `{context.command_path} --help`." if context else ""
        return _fail(problem + see, error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except BadAddress as error:
        return _fail(f"{error} Check how the address is written.")
    except MailerError as error:
        return _fail(str(error))
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 arrive as surrogates, which neither a database nor a mail can hold.
        if not any("\ud800" <= letter <= "\udfff" for word in typed for letter in word):
            raise
        return _fail("an argument is not in UTF-8; type it again in UTF-8", 2)
    except Exception as error:
        explained = _explained_by_database(error)
        if explained is None:
            raise
        return _fail(str(explained))


def _fail(message: str, code: int = 1) -> int:
    click.echo(f"error: {printable_line(message)}", err=True)
    return code


def _explained_by_database(error: Exception) -> MailerError | None:
    """Explain an error of the database's driver; None if it is another error."""
    # If SQLAlchemy was never imported, the error cannot be one of its own.
    database: Any = sys.modules.get("mailer.db")
    return None if database is None else database.explain(error)
