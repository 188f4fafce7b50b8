"""How much CPU time commands take: help against a bare Python, commands with the database against SQLAlchemy.

`mailer --help` has to stay below 6 times a Python that does nothing, and commands with the database at no
more than 1.7 times a Python that imports SQLAlchemy and Click. `digest plan` is measured for a schedule
without readers as well: with readers it renders the mail, which no list does, and has no limit.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 15
HELP_LIMIT = 6.0
LIMIT = 1.7
MAILER = str(Path(sys.executable).with_name("mailer"))
NOTHING = "python -c pass"
IMPORTS = "python -c 'import sqlalchemy.orm, click'"
COMMANDS: dict[str, tuple[str, float | None]] = {
    "--help": (NOTHING, HELP_LIMIT),
    "digest --help": (IMPORTS, LIMIT),
    "newsletter list": (IMPORTS, LIMIT),
    "schedule list": (IMPORTS, LIMIT),
    "digest list": (IMPORTS, LIMIT),
    "subscriber list": (IMPORTS, LIMIT),
    "feed list": (IMPORTS, LIMIT),
    "status": (IMPORTS, LIMIT),
    "digest plan daily/empty": (IMPORTS, LIMIT),
    "digest plan daily/morning": (IMPORTS, None),
}
"""What is measured, against which yardstick, and how many times that it may take at most."""

INSTALLATION = (
    ("init",),
    ("newsletter", "add", "daily", "--title", "The Daily", "--from", "The Daily <d@news.example>",
     "--postal-address", "1 Sample Street"),
    ("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "Europe/Paris"),
    ("schedule", "add", "daily", "empty", "--at", "08:00", "--zone", "Europe/Paris"),
    ("article", "add", "--newsletter", "daily", "--url", "https://news.example/1", "--title", "One"),
    ("subscriber", "add", "anna@example.com", "--newsletter", "daily", "--consent-source", "paper"),
)  # fmt: skip


def cpu_seconds(command: list[str], folder: str) -> float:
    """How much CPU time one run takes, in the program and in the system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: str) -> dict[str, float]:
    """The median for each command, measured turn by turn so that a busy moment hits all."""
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        IMPORTS: [sys.executable, "-c", "import sqlalchemy.orm, click"],
        **{name: [MAILER, *name.split()] for name in COMMANDS},
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        cpu_seconds(command, folder)
    for _ in range(RUNS):
        for name, command in commands.items():
            took[name].append(cpu_seconds(command, folder))
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def main() -> int:
    """Measure; the exit code is 1 above a limit."""
    # The settings of the person who measures have no place here.
    for name in [name for name in os.environ if name.startswith("MAILER_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        for arguments in INSTALLATION:
            subprocess.run([MAILER, *arguments], cwd=folder, capture_output=True, check=True)
        took = measure(folder)
    for yardstick in (NOTHING, IMPORTS):
        print(f"{yardstick:42} {took[yardstick] * 1000:6.0f} ms")
    too_slow = False
    for name, (yardstick, limit) in COMMANDS.items():
        ratio = took[name] / took[yardstick]
        told = "" if limit is None else f", at most {limit:g}"
        print(f"mailer {name:35} {took[name] * 1000:6.0f} ms  {ratio:4.1f} times{told}")
        too_slow = too_slow or (limit is not None and ratio > limit)
    return int(too_slow)


if __name__ == "__main__":
    sys.exit(main())
