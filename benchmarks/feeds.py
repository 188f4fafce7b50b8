"""What reading a feed costs against feedparser alone, and how long a thousand unchanged feeds take.

Each document is read in turn by both in one process, feedparser with its defaults: that cleans markup and
resolves links, as we do. The child process is compared with the same parsing in this one. The thousand
feeds answer 304 on loopback, and are refreshed as by the scheduler.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import feedparser

sys.path.insert(0, str(Path(__file__).parent.parent))

from mailer import schema
from mailer.clock import utc_now
from mailer.db import Database
from mailer.feeds import newsletter_feeds, refresh
from mailer.feeds.context import FeedContext
from mailer.feeds.reading.parse import parse
from mailer.feeds.sandbox.reader import FeedReader
from tests.support import factories

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
RATIO_LIMIT = 1.2
CHILD_RATIO_LIMIT = 1.1
ROUNDS = 9
FEEDS = 1000
SECONDS_LIMIT = 30.0

WORDS = "The council met on Monday and went through the budget line by line until late at night. "
BODY = "".join(
    f'<p>{WORDS * 3}<a href="/p/{n}" class="x">more</a> <b>bold</b><img src="/i/{n}.jpg" alt="A"></p>'
    for n in range(8)
)
RSS = (
    '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"'
    ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>News</title>'
    "<link>https://news.example/</link>{}</channel></rss>"
)
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>urn:x</id>{}</feed>'


def rss_item(number: int, text: str) -> str:
    """An item as WordPress writes it."""
    return (
        f"<item><title>Piece {number} &#8211; the council&#8217;s budget</title>"
        f"<link>https://news.example/2026/11/{number}/</link><dc:creator>Ada</dc:creator>"
        f"<pubDate>Mon, 23 Nov 2026 07:{number % 60:02}:00 +0000</pubDate><category>Town</category>"
        f'<guid isPermaLink="false">https://news.example/?p={number}</guid>{text}</item>'
    )


def atom_entry(number: int) -> str:
    """An entry with all its text."""
    text = BODY.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<entry><title>Piece {number}</title><id>urn:{number}</id><link href='/a/{number}'/>"
        f"<updated>2026-11-23T07:{number % 60:02}:00Z</updated><author><name>Ada</name></author>"
        f'<content type="html">{text}</content></entry>'
    )


def documents() -> dict[str, bytes]:
    """Feeds of a hundred pieces each: whole texts, excerpts, and headlines alone."""
    excerpt = f"<description><![CDATA[<p>{WORDS} [&#8230;]</p>]]></description>"
    whole = f"{excerpt}<content:encoded><![CDATA[{BODY}]]></content:encoded>"
    return {
        "RSS with full texts": RSS.format("".join(rss_item(n, whole) for n in range(100))).encode(),
        "RSS with excerpts": RSS.format("".join(rss_item(n, excerpt) for n in range(100))).encode(),
        "RSS with headlines only": RSS.format(
            "".join(rss_item(n, "") for n in range(100))
        ).encode(),
        "Atom with full texts": ATOM.format("".join(atom_entry(n) for n in range(100))).encode(),
    }


def cpu_seconds(act: Callable[[], object]) -> float:
    """What one call costs."""
    begin = time.process_time()
    act()
    return time.process_time() - begin


def measure_reading() -> bool:
    """Print what reading costs; False where it is above the limit."""
    print("document                   KB   feedparser   ours      ratio")
    worst = 0.0
    for name, body in documents().items():
        pairs = [
            (
                cpu_seconds(lambda body=body: feedparser.parse(BytesIO(body))),  # type: ignore[misc]
                cpu_seconds(
                    lambda body=body: parse(body, base_url="https://news.example/feed", now=NOW)  # type: ignore[misc]
                ),
            )
            for _ in range(ROUNDS)
        ]
        theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = ours / theirs
        worst = max(worst, ratio)
        print(
            f"{name:24} {len(body) // 1000:4}   {theirs * 1000:7.1f} ms {ours * 1000:7.1f} ms"
            f"   {ratio:4.2f}, at most {RATIO_LIMIT:g}"
        )
    return worst <= RATIO_LIMIT


def measure_child() -> bool:
    """Print what the child process costs beside the parsing itself; False where it is above the limit."""
    whole = f"<content:encoded><![CDATA[{BODY}]]></content:encoded>"
    body = RSS.format("".join(rss_item(n, whole) for n in range(36))).encode()
    with FeedReader() as reader:

        def by_child() -> None:
            reader.parse(body, base_url="https://news.example/feed", now=NOW)

        def here() -> None:
            parse(body, base_url="https://news.example/feed", now=NOW)

        by_child()
        here()
        pairs = []
        for _ in range(ROUNDS):
            before = child_seconds(reader)
            mine = cpu_seconds(lambda: [by_child() for _ in range(10)])
            pairs.append(
                (
                    mine + child_seconds(reader) - before,
                    cpu_seconds(lambda: [here() for _ in range(10)]),
                )
            )
    theirs, ours = (statistics.median(column) / 10 for column in zip(*pairs, strict=True))
    ratio = theirs / ours
    print(
        f"{len(body) // 1000} KB by the child process {theirs * 1000:.1f} ms, here {ours * 1000:.1f} ms"
        f"   {ratio:4.2f}, at most {CHILD_RATIO_LIMIT:g}"
    )
    return ratio <= CHILD_RATIO_LIMIT


def child_seconds(reader: FeedReader) -> float:
    """The CPU time of a reader's child so far."""
    assert reader._process is not None
    ran = Path(f"/proc/{reader._process.pid}/schedstat").read_text().split()[0]
    return int(ran) / 1e9


class Unchanged(BaseHTTPRequestHandler):
    """A server of feeds in which nothing changes."""

    def do_GET(self) -> None:
        if self.headers.get("If-None-Match"):
            self.send_response(304)
            self.end_headers()
            return
        body = RSS.format(rss_item(1, "")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Benchmarks need no access log."""


class Server(ThreadingHTTPServer):
    """Takes more connections at once than the standard library's five."""

    request_queue_size = 128


def measure_refreshing() -> bool:
    """Print how long a thousand feeds take that answer 304; False where it is above the limit."""
    server = Server(("127.0.0.1", 0), Unchanged)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    site = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'feeds.db'}")
        schema.create(database, "fingerprint", utc_now())
        with database.write() as session:
            newsletter = factories.newsletter(session)
            for number in range(FEEDS):
                url = f"{site}/{number}"
                factories.feed(
                    session, newsletter, url=url, allow_private=True, etag='"1"', validators_url=url
                )
        with database.read() as session:
            ids = newsletter_feeds.due_feeds(session, utc_now())
        begin = time.perf_counter()
        with FeedReader() as reader:
            context = FeedContext(database, reader, utc_now, timedelta(minutes=15))
            done = refresh.refresh(context, ids, unconditional=False)
        took = time.perf_counter() - begin
        database.dispose()
    server.shutdown()
    thread.join()
    server.server_close()
    assert sum(one.not_modified for one in done) == FEEDS
    print(f"{FEEDS:,} feeds that answer 304: {took:.1f} s, at most {SECONDS_LIMIT:g}")
    return took <= SECONDS_LIMIT


def main() -> int:
    """Measure all; the exit code is 1 where one is above its limit."""
    results = [measure_reading(), measure_child(), measure_refreshing()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
