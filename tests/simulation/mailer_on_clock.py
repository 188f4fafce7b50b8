"""Runs `mailer` with a wall clock that is ahead of the real one by the seconds in the file CLOCK.

AMAZON_CERTIFICATE names a file that stands for what Amazon answers.
Used as a program in place of `-m mailer`. A change of the file sets the clock of all processes that read
it, also while they run; waits are measured as ever. With `--each` it is loaded once, and runs each command
that comes as a line of JSON in a process of its own: to load it costs ten times as much as to ask it.
"""

import importlib
import json
import os
import pkgutil
import sys
import tempfile
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

import mailer.app
import mailer.cli
from mailer.cli import main
from mailer.clock import Times, utc_now
from mailer.web import webhooks
from mailer.web.amazon_sns import AmazonSns


def _wall() -> datetime:
    return utc_now() + timedelta(seconds=float(Path(os.environ["CLOCK"]).read_text()))


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _each() -> None:
    """Run the commands that come, and answer each with a line: its status and output."""
    for module in pkgutil.walk_packages(mailer.cli.__path__, "mailer.cli."):
        importlib.import_module(module.name)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), sys.stdout.fileno())
                os.dup2(err.fileno(), sys.stderr.fileno())
                sys.exit(main(json.loads(line)))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer = {"status": status, "out": _text(out), "err": _text(err)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    mailer.app.Times = lambda: Times(wall=_wall)  # type: ignore[assignment,misc]
    if "AMAZON_CERTIFICATE" in os.environ:
        # Amazon's own host is out of reach; all that comes of its answer is real.
        certificate = Path(os.environ["AMAZON_CERTIFICATE"]).read_bytes()
        webhooks.AmazonSns = partial(AmazonSns, lambda _: certificate)  # type: ignore[assignment,misc]
    sys.exit(_each() if sys.argv[1:] == ["--each"] else main())
