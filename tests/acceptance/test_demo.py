"""`mailer demo` as somebody who just got the program types it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

DEMO = [sys.executable, "-m", "mailer", "demo"]
SECONDS = 30

pytestmark = pytest.mark.real_processes


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
    return {**kept, "TMPDIR": str(folder)}


def processes_in(folder: Path, argument: bytes = b"") -> list[int]:
    """The processes that work in `folder` or below it, and have this argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                working = (entry / "cwd").readlink()
                arguments = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if working.is_relative_to(folder) and argument in arguments:
                found.append(int(entry.name))
    return found


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The interactive demo and the addresses that it printed, when it is ready."""
    process = subprocess.Popen(
        [*DEMO, *options],
        cwd="/",
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        addresses: dict[str, str] = {}
        for line in process.stdout:
            if found := re.match(r"  (Start here|Sign-up form|Inbox|Newspaper) +(\S+)", line):
                addresses[found[1]] = found[2]
            if line.startswith("Sign up with any address"):
                break
        yield process, addresses
    finally:
        # Not killed, because then the mailer that it has started would go on.
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.timeout(400)
def test_once_goes_through_everything(fast_folder: Path) -> None:
    demo = subprocess.run(
        [*DEMO, "--once"],
        cwd="/",
        env=environment(fast_folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    steps = re.findall(r"^ +\d+  .* ok +[\d.]+ s$", demo.stdout, re.MULTILINE)
    assert len(steps) >= 18
    assert "FAILED" not in demo.stdout
    assert "Everything worked" in demo.stdout.splitlines()[-1]
    assert list(fast_folder.iterdir()) == []


@pytest.mark.parametrize(
    "end", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)]
)
def test_it_runs_until_it_is_ended_and_leaves_nothing(
    fast_folder: Path, end: signal.Signals
) -> None:
    with running(fast_folder) as (process, addresses):
        assert len(addresses) == 4
        for address in addresses.values():
            with urlopen(address) as page:
                assert page.status == 200
        # Beside it the child that reads feeds may run.
        assert len(processes_in(fast_folder, b"\0run\0")) == 1
        process.send_signal(end)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        assert "Traceback" not in said
    assert processes_in(fast_folder) == []
    assert list(fast_folder.iterdir()) == []


@pytest.mark.thorough
def test_a_mailer_that_dies_ends_the_demo_with_its_last_words(fast_folder: Path) -> None:
    with running(fast_folder) as (process, _):
        (mailer,) = processes_in(fast_folder, b"\0run\0")
        os.kill(mailer, signal.SIGKILL)
        said, _ = process.communicate()
        assert process.returncode == 1
        assert "mailer run has ended by itself, status -9" in said
        assert said.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in said
    assert list(fast_folder.iterdir()) == []


def four_free_ports() -> int:
    """The first of four free ports, below those that the system hands out by itself."""
    for first in range(20_000, 30_000, 4):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 4):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no four free ports")


@pytest.mark.thorough
def test_port_names_the_first_of_four(fast_folder: Path) -> None:
    port = four_free_ports()
    with running(fast_folder, "--port", str(port)) as (_, addresses):
        assert addresses["Sign-up form"] == f"http://127.0.0.1:{port}/"
        assert addresses["Newspaper"] == f"http://127.0.0.1:{port + 1}/"
        assert addresses["Start here"] == f"http://127.0.0.1:{port + 2}/"
        again = subprocess.run(
            [*DEMO, "--once", "--port", str(port)],
            env=environment(fast_folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1
        assert again.stdout == ""
        assert re.fullmatch(
            r"error: cannot listen on port \d+ .*choose another --port\n", again.stderr
        )
    assert processes_in(fast_folder) == []


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_a_usage_error(fast_folder: Path, port: str) -> None:
    refused = subprocess.run(
        [*DEMO, "--once", "--port", port],
        env=environment(fast_folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "--port" in refused.stderr
