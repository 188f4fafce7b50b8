"""Feeds that move, vanish, ask for peace or go on failing: when they are asked again, who is told."""

import json
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.db import Database
from mailer.errors import FeedBusy, FeedError, FeedGone, Refused
from mailer.feeds import fetch_state, newsletter_feeds, refresh
from mailer.feeds.context import Fetch
from mailer.feeds.fetch_state import CLAIM
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.models import Feed, Notice, NoticeKind
from mailer.notices.alert import Alerts
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.integration.feeds.web import INTERVAL, NOW, URL, Web, item
from tests.support.sample_mails import always
from tests.support.waiting import wait_until

NEW_URL = "https://www.news.example/rss"
ELSEWHERE = "https://new.example/feed"


@pytest.fixture
def alerts(keys: Keys) -> Alerts:
    return Alerts(Templates(), keys, (parse("desk@news.example"),), None, always("a"))


def notices(database: Database) -> list[Notice]:
    with database.read() as session:
        return list(session.scalars(select(Notice)))


def test_a_feed_that_moved_for_good_is_fetched_there_from_now_on(web: Web) -> None:
    web.start(item("one"))
    web.permanent[URL] = NEW_URL
    result = web.poll(item("two"), item("one"))
    assert (result.url, result.new) == (NEW_URL, 1)
    assert result.warnings[-1].startswith(f"it has moved permanently to {NEW_URL}")
    web.publish(item("two"), item("one"), url=NEW_URL)
    web.pages_asked()
    # Under its former address it is the same feed.
    (result,) = web.refresh()
    assert (result.unchanged, web.pages_asked()) == (2, [NEW_URL])
    feed = web.feed()
    assert (feed.url, feed.former_url, feed.validators_url) == (NEW_URL, URL, NEW_URL)
    assert [one.url for one in web.listed(URL)] == [NEW_URL]


def test_a_feed_that_moved_to_another_host_stays_where_it_is_until_staff_decides(
    web: Web, alerts: Alerts
) -> None:
    def wait(hours: int, moved_to: str | None) -> list[str]:
        web.now += timedelta(hours=hours)
        web.permanent = {} if moved_to is None else {URL: moved_to}
        (result,) = web.refresh(alerts=alerts)
        assert (result.url, result.error) == (URL, None)
        (listed,) = web.listed()
        return [str(listed.moved_url), *result.warnings]

    web.publish(item("one"))
    web.add(allow_private=True)
    told, warning = wait(1, ELSEWHERE)
    assert told == ELSEWHERE
    assert f"`mailer feed accept {URL}`" in warning
    (notice,) = notices(web.database)
    for part in (notice.text, notice.html):
        assert f"mailer feed accept {URL}" in part
        assert ELSEWHERE in part
    # Told once, and not once more for each address that its server thinks of.
    assert wait(1, ELSEWHERE)[0] == ELSEWHERE
    assert wait(1, "https://evil.example/feed")[0] == ELSEWHERE
    assert wait(1, None) == ["None"]
    assert wait(1, ELSEWHERE)[0] == "None"
    assert len(notices(web.database)) == 1
    assert wait(24, ELSEWHERE)[0] == ELSEWHERE
    assert len(notices(web.database)) == 2
    web.accept()
    feed = web.feed()
    assert (feed.url, feed.former_url, feed.moved_url) == (ELSEWHERE, URL, None)
    # That was given for the other host.
    assert feed.allow_private is False


def test_a_feed_is_not_accepted_where_another_one_is(web: Web) -> None:
    web.publish(item("one"))
    web.permanent[URL] = ELSEWHERE
    # Added by its old address, it stays there, and who adds it is told.
    added = web.add()
    assert (added.url, f"`mailer feed accept {URL}`" in added.warnings[-1]) == (URL, True)
    web.publish(item("one"), url=ELSEWHERE)
    web.add(ELSEWHERE, to=web.weekly)
    with pytest.raises(Refused, match=f"is already a feed here; `mailer feed remove {URL}`"):
        web.accept()


def test_a_move_counts_only_once_the_document_there_was_read(web: Web) -> None:
    web.start(item("one"))
    web.permanent[URL] = NEW_URL
    web.pages[URL] = b"<html>Log in</html>"
    assert web.refresh()[0].error
    assert web.feed().url == URL


def test_a_feed_that_is_there_already_keeps_its_address(web: Web) -> None:
    web.publish(item("one"))
    web.publish(item("one"), url=NEW_URL)
    web.add()
    web.add(NEW_URL, to=web.weekly)
    web.permanent[URL] = NEW_URL
    (result,) = web.refresh()
    assert (result.url, result.error) == (URL, None)
    assert "is already a feed here" in result.warnings[-1]
    assert [one.url for one in web.listed()] == [URL, NEW_URL]


def test_a_feed_is_added_where_it_is_for_good(web: Web) -> None:
    web.publish(item("one"))
    web.permanent[URL] = NEW_URL
    assert web.add().url == NEW_URL
    # Typed as before, it is attached and not added twice.
    assert web.add(to=web.weekly).fetched is False
    (listed,) = web.listed()
    assert [taker.slug for taker in listed.newsletters] == ["daily", "weekly"]


def test_validators_go_to_the_address_that_gave_them(web: Web) -> None:
    web.start(item("one"))
    web.permanent[URL] = NEW_URL
    web.refresh()
    web.publish(item("one"), url=NEW_URL)
    web.refresh()
    assert (web.asked[-1].url, web.asked[-1].validators_url) == (NEW_URL, NEW_URL)


def test_a_feed_that_is_gone_is_not_asked_again_and_staff_is_told(web: Web, alerts: Alerts) -> None:
    web.start(item("one"))
    web.pages[URL] = FeedGone()
    for _ in range(2):
        (result,) = web.refresh(alerts=alerts)
        assert "mailer feed remove" in str(result.error)
    with web.database.read() as session:
        assert newsletter_feeds.due_feeds(session, NOW + timedelta(days=400)) == []
        (listed,) = web.listed()
        assert (listed.gone_at, listed.error) == (NOW, result.error)
        assert web.titles() == ["one"]
    (notice,) = notices(web.database)
    assert (notice.kind, notice.address) == (NoticeKind.ALERT, "desk@news.example")
    assert notice.subject == "The feed News needs your attention"
    for part in (notice.text, notice.html):
        assert f"mailer feed remove {URL}" in part
        assert URL in part
    # By hand it is tried once more, and may be back.
    web.publish(item("one"))
    assert web.refresh(alerts=alerts)[0].error is None
    with web.database.read() as session:
        assert web.feed().gone_at is None
        assert len(newsletter_feeds.due_feeds(session, NOW + INTERVAL)) == 1


def test_what_staff_is_told_to_type_runs_nothing_else(
    web: Web, alerts: Alerts, tmp_path: Path
) -> None:
    hostile = "https://news.example/moved;touch$(id)&x'`id`"
    web.start(item("one"))
    web.permanent[URL] = hostile
    web.refresh()
    web.pages[hostile] = FeedGone()
    web.refresh(alerts=alerts)
    (notice,) = notices(web.database)
    typed = [line.strip() for line in notice.text.splitlines() if line.startswith("  mailer ")]
    assert all(line in unescape(notice.html) for line in typed)
    (tmp_path / "bin").mkdir()
    (tmp_path / "folder").mkdir()
    stub = tmp_path / "bin" / "mailer"
    stub.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    stub.chmod(0o755)
    ran = subprocess.run(
        ["/bin/bash", "-c", "\n".join(typed)],
        cwd=tmp_path / "folder",
        env={"PATH": f"{stub.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [
        ["feed", "refresh", hostile],
        ["feed", "remove", hostile],
    ]
    assert (ran.stderr, list((tmp_path / "folder").iterdir())) == ("", [])


def test_staff_is_told_once_when_a_feed_has_failed_for_a_day(web: Web, alerts: Alerts) -> None:
    web.start(item("one"))
    web.pages[URL] = FeedError("news.example answered 500")
    told = []
    for hours in (0, 23, 24, 30, 80):
        web.now = NOW + timedelta(hours=hours)
        web.refresh(alerts=alerts)
        told.append(len(notices(web.database)))
    assert told == [0, 0, 1, 1, 1]
    (notice,) = notices(web.database)
    words = " ".join(notice.text.split())
    assert "since 2026-11-24T10:00:00Z: news.example answered 500. The mailer keeps trying" in words
    assert "check whether its address opens in a browser" in words
    # What mends comes before what gives up.
    for part in (words, notice.html):
        steps = [f"feed refresh {URL}", "feed list", f"feed remove {URL}"]
        assert sorted(steps, key=part.index) == steps
    web.poll(item("one"), alerts=alerts)
    web.pages[URL] = ZeroDivisionError("a defect of ours")
    for hours in (100, 130):
        web.now = NOW + timedelta(hours=hours)
        web.refresh(alerts=alerts)
    assert len(notices(web.database)) == 2


def test_nobody_is_told_without_a_staff_address(web: Web, keys: Keys) -> None:
    web.start(item("one"))
    web.pages[URL] = FeedGone()
    web.refresh(alerts=Alerts(Templates(), keys, (), None, always("a")))
    assert notices(web.database) == []


def test_a_server_that_asks_for_peace_gets_it(web: Web) -> None:
    web.start(item("one"))
    web.pages[URL] = FeedBusy("news.example answered 503", "7200")
    web.refresh()
    feed = web.feed()
    assert feed.retry_at == feed.next_fetch_at == NOW + timedelta(hours=2)
    web.poll(item("one"))
    assert web.feed().retry_at is None


def test_two_schedulers_do_not_fetch_one_feed_twice(web: Web) -> None:
    web.start(item("one"))
    web.pages_asked()
    web.now += INTERVAL
    chosen_at = web.now
    with web.database.read() as session:
        chosen = newsletter_feeds.due_feeds(session, chosen_at)
    asked = web.__call__

    def other(wanted: FetchRequest) -> Fetched:
        """While this one fetches, a second scheduler that chose the feed, too, comes to it."""
        with web.database.read() as session:
            assert newsletter_feeds.due_feeds(session, web.now) == []
        assert web.refresh(chosen_at=chosen_at) == []
        return asked(wanted)

    def fetch(fetch: Fetch) -> list[refresh.Refreshed]:
        return web.fetch(chosen, fetch=fetch, chosen_at=chosen_at)

    assert [result.error for result in fetch(other)] == [None]
    # Nor does it once that is done, for it chose before.
    assert fetch(web) == []
    assert web.pages_asked() == [URL]


def test_a_feed_whose_scheduler_was_killed_is_due_again_after_some_minutes(web: Web) -> None:
    web.start(item("one"))
    then = NOW + INTERVAL

    def due(now: datetime) -> bool:
        with web.database.read() as session:
            return bool(newsletter_feeds.due_feeds(session, now))

    with web.database.write() as session:
        feed_id = newsletter_feeds.find(session, URL).id
        assert fetch_state.claim(session, feed_id, chosen_at=then, now=then)
        assert not fetch_state.claim(session, feed_id, chosen_at=then, now=then)
        # Nor does another scheduler whose clock is a little behind.
        behind = then - timedelta(seconds=1)
        assert not fetch_state.claim(session, feed_id, chosen_at=then, now=behind)
    assert [due(then), due(then + CLAIM)] == [False, True]
    # A clock that was ahead when it was claimed lets it wait no longer.
    with web.database.write() as session:
        assert fetch_state.claim(session, feed_id, chosen_at=then, now=then + timedelta(days=1))
    assert due(then)


def test_a_claim_that_waited_for_the_database_counts_from_when_it_is_written(web: Web) -> None:
    web.start(item("one"))
    claimed: list[object] = []

    def fetch(wanted: FetchRequest) -> Fetched:
        claimed.append(web.feed().fetching_until)
        return web(wanted)

    write = web.database.write

    def write_later() -> AbstractContextManager[Session]:
        web.now += timedelta(seconds=30)
        return write()

    with patch.object(web.database, "write", write_later):
        web.refresh(chosen_at=NOW + timedelta(seconds=1), fetch=fetch)
    assert claimed == [NOW + timedelta(seconds=30) + CLAIM]


def test_a_feed_that_was_fetched_by_a_clock_that_was_ahead_is_due(web: Web) -> None:
    web.now = NOW + timedelta(days=400)
    web.start(item("one"))
    web.now = NOW
    with web.database.read() as session:
        due = newsletter_feeds.due_feeds(session, NOW)
        # Clocks of two machines differ a little all the time.
        assert newsletter_feeds.due_feeds(session, NOW + timedelta(days=400) - CLAIM) == []
    assert len(due) == 1
    assert [one.error for one in web.refresh(chosen_at=NOW)] == [None]
    assert web.refresh(chosen_at=NOW) == []


def test_a_stop_begins_no_more_fetches(web: Web) -> None:
    web.start(item("one"))
    web.pages_asked()
    assert web.refresh(is_draining=lambda: True) == []
    assert web.pages_asked() == []
    with web.database.write() as session:
        session.execute(update(Feed).values(etag=None))
    assert len(web.refresh(is_draining=lambda: False)) == 1


def test_the_end_of_the_process_abandons_fetches_that_are_under_way(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for them, and what they bring after all is neither stored nor a failure."""
    web.start(item("one"))
    web.publish(item("two"), item("one"))
    asked, go_on, answer = threading.Event(), threading.Event(), Web.__call__

    def fetch(self: Web, wanted: FetchRequest) -> Fetched:
        asked.set()
        assert go_on.wait(120)
        return answer(self, wanted)

    monkeypatch.setattr(Web, "__call__", fetch)
    later = NOW + timedelta(hours=1)
    assert web.refresh(is_aborting=asked.is_set, chosen_at=later) == []
    assert not go_on.is_set()
    go_on.set()
    wait_until(lambda: not any(one.name.startswith("feed-") for one in threading.enumerate()))
    with web.database.read() as session:
        assert web.titles() == ["one"]
        feed = session.scalars(select(Feed)).one()
        assert (feed.error, feed.fetching_until) == (None, None)


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_feed_whose_row_cannot_be_read_fails_alone(web: Web, is_claimed: bool) -> None:
    for url in (URL, ELSEWHERE):
        web.publish(item(url[8:11]), url=url)
        web.add(url)
    never = "no date" if web.database.is_sqlite else "infinity"
    with web.database.read() as session:
        ids = session.scalars(select(Feed.id).order_by(Feed.id)).all()
    with web.database.write() as session:
        statement = text("UPDATE feed SET created_at = :never WHERE id = :id")
        session.execute(statement, {"never": never, "id": ids[0]})
    web.now += INTERVAL
    chosen_at = web.now if is_claimed else None
    broken, sound = web.fetch(ids, unconditional=True, chosen_at=chosen_at)
    assert "cannot be read" in (broken.error or "")
    assert sound.error is None
    with web.database.read() as session:
        assert session.scalar(select(Feed.error).where(Feed.id == ids[0])) == broken.error
        assert newsletter_feeds.due_feeds(session, web.now) == []
