"""The child process that reads feeds: its limits, its beginning and its end. Real processes, no database."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailer.errors import FeedUnreadable
from mailer.feeds.sandbox.limits import ChildLimits
from mailer.feeds.sandbox.reader import FeedReader, ReadingStopped
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
FEED = b'<rss version="2.0"><channel><title>News</title><item><title>One</title></item></channel></rss>'
# The feed library looks for an address in the name, and anew from each of its letters.
ENDLESS = FEED.replace(b"<title>One</title>", b"<author>%b</author>" % (b"a." * 500_000))
HUGE = FEED.replace(b"<title>One</title>", b"<a %b" % (b"x" * 4_900_000))
# Each relative link becomes as long as the base.
GROWING = (
    b'<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://site.example/%b/"><title>News</title>'
    % (b"a" * 1900)
    + b'<entry><summary type="html">%b</summary></entry>' % (b"&lt;a href=b>c&lt;/a>" * 600) * 4
    + b"</feed>"
)
QUICK = ChildLimits(cpu_seconds=1)


@pytest.fixture
def reader() -> Iterator[FeedReader]:
    with FeedReader(QUICK) as reader:
        yield reader


def child_of(reader: FeedReader) -> int:
    assert reader._process is not None
    return reader._process.pid


def is_there(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def has_read_one(reader: FeedReader) -> bool:
    return [entry.title for entry in reader.parse(FEED, now=NOW).entries] == ["One"]


@pytest.mark.parametrize(
    ("limits", "body", "says"),
    [
        (QUICK, ENDLESS, "more than 1 s of CPU time"),
        (ChildLimits(seconds=2), ENDLESS, "longer than 2 s"),
        (ChildLimits(memory=100_000_000), HUGE, "more than 100 MB of memory"),
        (ChildLimits(answer=1_000_000), GROWING, "grew to more than 1 MB"),
    ],
)
def test_past_a_limit_the_document_fails_and_the_next_is_read(
    limits: ChildLimits, body: bytes, says: str
) -> None:
    with FeedReader(limits) as reader:
        with pytest.raises(FeedUnreadable, match=says):
            reader.parse(body, now=NOW)
        reader._limits = ChildLimits()
        assert has_read_one(reader)


def test_the_limit_of_cpu_time_is_each_document_s_own(reader: FeedReader) -> None:
    slow = FEED.replace(b"<title>One</title>", b"<author>%b</author>" % (b"a." * 4_000))
    used = 0.0
    while used < 2 * QUICK.cpu_seconds:
        reader.parse(slow, now=NOW)
        times = Path(f"/proc/{child_of(reader)}/stat").read_text().rpartition(")")[2].split()[11:13]
        used = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def test_one_child_reads_for_all_and_knows_no_secret(
    reader: FeedReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MAILER_SECRET_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    # Nor does it take Python's modules from where it was started.
    (tmp_path / "html.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert reader._process is None
    assert reader.page_image(
        '<meta property="og:image" content="/a.png">', "https://a.example/"
    ) == ("https://a.example/a.png")
    child = child_of(reader)
    threads = [threading.Thread(target=has_read_one, args=(reader,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert child_of(reader) == child
    assert b"=secret" not in Path(f"/proc/{child}/environ").read_bytes()


def test_what_is_no_feed_is_told_as_before(reader: FeedReader) -> None:
    with pytest.raises(FeedUnreadable, match="web page, not a feed"):
        reader.parse(b"<html></html>", now=NOW)


def test_a_defect_of_ours_is_logged_and_is_the_document_s_failure(
    reader: FeedReader, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FeedUnreadable, match="report it"):
        reader.parse("no bytes", now=NOW)  # type: ignore[arg-type]
    assert "TypeError" in caplog.text
    assert has_read_one(reader)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_is_left_to_the_parent(
    reader: FeedReader, number: signal.Signals
) -> None:
    assert has_read_one(reader)
    child = child_of(reader)
    os.kill(child, number)
    assert has_read_one(reader)
    assert child_of(reader) == child


def test_a_child_that_was_killed_while_it_was_idle_costs_nothing(reader: FeedReader) -> None:
    assert has_read_one(reader)
    os.kill(child_of(reader), signal.SIGKILL)
    wait_until(lambda: not is_there(child_of(reader)))
    assert has_read_one(reader)


@pytest.mark.parametrize(
    ("python", "says"),
    [("/bin/false", "ended with status 1"), ("/nowhere", "no process can be started")],
)
def test_a_child_that_cannot_start_is_told(
    reader: FeedReader, monkeypatch: pytest.MonkeyPatch, python: str, says: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", python)
        with pytest.raises(FeedUnreadable, match=says):
            reader.parse(FEED, now=NOW)
    assert has_read_one(reader)


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_an_idle_child_is_ended_and_another_one_started(seconds: float) -> None:
    with FeedReader(replace(QUICK, idle_seconds=seconds)) as reader:
        assert has_read_one(reader)
        wait_until(lambda: reader._process is None)
        assert has_read_one(reader)


def test_stopping_abandons_what_is_being_read_and_all_that_waits() -> None:
    reader = FeedReader()
    ends: list[type[BaseException]] = []

    def read() -> None:
        try:
            reader.parse(ENDLESS, now=NOW)
        except (ReadingStopped, FeedUnreadable) as error:
            ends.append(type(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: reader._process is not None)
    child = child_of(reader)
    reader.stop()
    for thread in threads:
        thread.join()
    assert ends == [ReadingStopped] * 3
    assert not is_there(child)
    reader.stop()
    with pytest.raises(ReadingStopped):
        reader.parse(FEED, now=NOW)


PARENT = """
import sys, threading
from datetime import UTC, datetime
from mailer.feeds.sandbox.limits import ChildLimits
from mailer.feeds.sandbox.reader import FeedReader
from tests.integration.feeds.test_reader import ENDLESS, FEED, NOW

reader = FeedReader(ChildLimits(cpu_seconds=1))
reader.parse(FEED, now=NOW)
print(reader._process.pid, flush=True)
reader.parse(ENDLESS, now=NOW) if sys.argv[1] == "busy" else threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_child_outlives_its_parent(state: str) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, state], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_there(child))
