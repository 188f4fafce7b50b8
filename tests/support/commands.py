"""Types commands as staff do, and knows what a newsletter is added with.

A process costs 0.7 s of CPU, nearly all of it for imports. Therefore commands are typed in the tests' own
process, which lends them what a process has of its own and takes it back; with TYPED=process each is a
process (`make test-all`). The daemon and the demo always are.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from mailer.cli import main

Ask = Callable[..., tuple[int, str, str]]
"""Types a command: its exit status, stdout and stderr."""

NEWSLETTER = ("newsletter", "add", "daily", "--title", "The Daily", "--from",
              "The Daily <daily@news.example>", "--postal-address", "1 Sample Street")  # fmt: skip

PROCESSES = os.environ.get("TYPED") == "process"
_DAEMONS = frozenset({"run", "demo"})
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

Ended = subprocess.CompletedProcess[str]


def type_command(
    *arguments: str, folder: Path, environment: Mapping[str, str], process: bool = PROCESSES
) -> Ended:
    """Type `mailer ARGUMENTS` and return how it ended.

    Args:
        folder: where it is typed.
        environment: all variables that the command sees.
        process: as a process of its own.
    """
    if process or not _DAEMONS.isdisjoint(arguments[:1]):
        return subprocess.run(
            [sys.executable, "-m", "mailer", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    with _file("strict") as out, _file("backslashreplace") as err:
        with _lent(folder, environment, out, err):
            status = _status(arguments)
        return Ended(["mailer", *arguments], status, _written(out), _written(err))


def own_environment() -> dict[str, str]:
    """The variables of this process, without settings of the mailer."""
    return {name: text for name, text in os.environ.items() if not name.startswith("MAILER_")}


@contextmanager
def logging_put_back() -> Iterator[None]:
    """Give logging back as it was before the block."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    raising = logging.raiseExceptions
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
        logging.raiseExceptions = raising


def _status(arguments: tuple[str, ...]) -> int:
    """What the process would have ended with."""
    try:
        return main(arguments)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
            return 1
        return error.code or 0
    except Exception:
        # As the interpreter ends a process.
        traceback.print_exc()
        return 1


@contextmanager
def _lent(folder: Path, environment: Mapping[str, str], out: TextIO, err: TextIO) -> Iterator[None]:
    """Give this process another folder, environment, input and output for the block."""
    place, stdin, before = Path.cwd(), sys.stdin, dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    with ExitStack() as stack:
        for lending in (logging_put_back(), redirect_stdout(out), redirect_stderr(err)):
            stack.enter_context(lending)
        nothing = stack.enter_context(open(os.devnull))
        try:
            _become(environment)
            os.chdir(folder)
            sys.stdin = nothing
            yield
        finally:
            sys.stdin = stdin
            os.chdir(place)
            _become(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _become(environment: Mapping[str, str]) -> None:
    # Other threads read the environment too, so what stays the same is not touched.
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _file(errors: str) -> TextIO:
    """A file such as a shell puts behind stdout: with a number, in UTF-8, and no terminal."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors=errors)


def _written(file: TextIO) -> str:
    file.flush()
    file.seek(0)
    return file.read()
