"""Postfix's test programs: smtp-sink takes every mail, smtp-source sends one mail many times."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


def _program(name: str) -> str:
    return shutil.which(name) or f"/usr/sbin/{name}"


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink(NamedTuple):
    """An smtp-sink that runs: its port of loopback, and its process."""

    port: int
    pid: int


@contextmanager
def sink() -> Iterator[Sink]:
    """smtp-sink on a free port of loopback."""
    port = free_port()
    process = subprocess.Popen(
        [_program("smtp-sink"), "-u", "nobody", f"127.0.0.1:{port}", "256"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield Sink(port, process.pid)
    finally:
        process.kill()
        process.wait()


def source(port: int, mail: Path, mails: int, connections: int) -> float:
    """Mails a second of smtp-source on as many connections that stay open.

    Args:
        mail: a file that holds the mail, with lines that end in a bare LF.
    """
    start = time.perf_counter()
    subprocess.run(
        [
            _program("smtp-source"),
            "-d",
            "-N",
            f"-s{connections}",
            f"-m{mails}",
            f"-F{mail}",
            "-fdaily@news.example",
            "-treader@example.com",
            f"127.0.0.1:{port}",
        ],
        check=True,
        cwd=mail.parent,
    )
    return mails / (time.perf_counter() - start)
