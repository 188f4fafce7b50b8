"""What processes have used so far, from /proc (Linux): CPU time and memory."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    # The name in brackets before these may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(_stat(pid)[1])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, of all its threads, in the program and in the system."""
    return sum(map(int, _stat(pid)[11:13])) / _TICKS_PER_SECOND


def family_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it started itself, also of what has ended since."""
    seconds = sum(map(int, _stat(pid)[11:15])) / _TICKS_PER_SECOND
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            # It may end meanwhile, as each run of autovacuum does.
            with suppress(FileNotFoundError, ProcessLookupError):
                seconds += cpu_seconds(int(child))
    return seconds


def peak_mib(pid: int) -> float:
    """The most memory that a process has had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024
