"""How long `mailer --help` takes, against a Python that does nothing: has to stay below 6 times that."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20
LIMIT = 6.0
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "mailer --help": [str(Path(sys.executable).with_name("mailer")), "--help"],
}


def seconds(command: list[str]) -> float:
    """How long one run takes."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> int:
    """Measure, turn by turn so that a busy moment hits both; the exit code is 1 above the limit."""
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            took[name].append(seconds(command))
    yardstick, ours = (statistics.median(took[name]) for name in COMMANDS)
    ratio = ours / yardstick
    print(f"python -c pass  {yardstick * 1000:6.1f} ms")
    print(f"mailer --help   {ours * 1000:6.1f} ms   {ratio:.1f} times, at most {LIMIT:g}")
    return 0 if ratio < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
