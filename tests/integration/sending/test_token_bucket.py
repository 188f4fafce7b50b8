"""The bucket of tokens on both databases, on their own clocks."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from mailer.db import Database
from mailer.models import TokenBucket
from mailer.rate import Rate
from mailer.sending.flow_control.token_bucket import Spent, refund, spend
from tests.support.sending import waiters
from tests.support.waiting import wait_until

FAST = Rate(100, timedelta(seconds=1))
DAILY = Rate(1, timedelta(days=1))
HOUR = timedelta(hours=1)


def spent(database: Database, rate: Rate, wanted: int) -> Spent:
    with database.write() as session:
        return spend(session, rate, wanted)


def fill(database: Database, tokens: float, counted: timedelta = timedelta(0)) -> None:
    """Have `tokens` in the bucket, counted so long ago."""
    with database.write() as session:
        spend(session, DAILY, 0)
        session.execute(
            update(TokenBucket).values(tokens=tokens, filled_at=datetime.now(UTC) - counted)
        )


def tokens(database: Database) -> float:
    with database.read() as session:
        return session.scalars(select(TokenBucket.tokens)).one()


def test_the_very_first_mail_need_not_wait_and_the_second_must(database: Database) -> None:
    found = spent(database, DAILY, 5)
    assert found.number == 1
    assert found.wait_seconds == pytest.approx(24 * 3600, abs=60)
    assert spent(database, DAILY, 5).number == 0


def test_the_first_start_of_all_is_no_burst(database: Database) -> None:
    spent(database, FAST, 0)
    assert tokens(database) == 1


def test_parts_of_a_second_count(database: Database) -> None:
    begin = time.monotonic()
    fill(database, 0)
    mark = time.monotonic()
    wait_until(lambda: time.monotonic() > mark + 0.1)
    found = spent(database, Rate(1000, timedelta(seconds=1)), 1000).number
    assert 99 <= found <= 1000 * (time.monotonic() - begin) + 1


def test_whoever_ends_and_begins_again_finds_no_fresh_bucket(database: Database) -> None:
    fill(database, 0.25)
    again = Database(database.url.render_as_string(hide_password=False))
    assert spent(again, DAILY, 5).number == 0
    again.dispose()


def test_it_is_full_after_a_second_and_no_fuller_later(database: Database) -> None:
    fill(database, 0, HOUR)
    assert spent(database, FAST, 1000).number == 100
    fill(database, 0, HOUR)
    assert spent(database, FAST, 20) == (20, 0)
    assert 80 <= tokens(database) < 81


def test_a_slow_rate_saves_up_for_its_mail(database: Database) -> None:
    fill(database, 0, timedelta(hours=18))
    found = spent(database, DAILY, 1)
    assert found.number == 0
    assert found.wait_seconds == pytest.approx(6 * 3600, abs=60)
    fill(database, 0, timedelta(hours=25))
    assert spent(database, DAILY, 1).number == 1


def test_asking_in_vain_again_and_again_loses_nothing(database: Database) -> None:
    fill(database, 0, timedelta(hours=23))
    for _ in range(50):
        assert spent(database, DAILY, 1).number == 0
    assert spent(database, DAILY, 1).wait_seconds == pytest.approx(3600, abs=60)


def test_a_clock_that_was_set_back_neither_takes_nor_stops_anything(database: Database) -> None:
    fill(database, 0.25, -HOUR)
    assert spent(database, FAST, 5).number == 0
    with database.read() as session:
        assert session.scalars(select(TokenBucket.filled_at)).one() < datetime.now(UTC) + HOUR / 2
    assert tokens(database) == 0.25
    fill(database, 5, -HOUR)
    assert spent(database, FAST, 3).number == 3


def test_what_is_refunded_is_there_again_but_nothing_above_the_brim(database: Database) -> None:
    fill(database, 0)
    with database.write() as session:
        refund(session, DAILY, 1)
    assert spent(database, DAILY, 1).number == 1
    fill(database, 95)
    with database.write() as session:
        refund(session, FAST, 20)
    assert tokens(database) == 100
    # The first thing that ever happens may be a refund.
    with database.write() as session:
        session.execute(delete(TokenBucket))
        refund(session, DAILY, 20)
    assert tokens(database) == 1


def test_nothing_is_paid_where_the_transaction_fails(database: Database) -> None:
    fill(database, 50)
    with pytest.raises(ZeroDivisionError), database.write() as session:
        assert spend(session, FAST, 10).number == 10
        raise ZeroDivisionError
    assert tokens(database) == 50


def test_nothing_is_asked_and_nothing_taken(database: Database) -> None:
    fill(database, 50)
    assert spent(database, FAST, 0) == (0, 0)
    assert spent(database, FAST, -3).number == 0
    assert tokens(database) == 50


def test_many_workers_together_keep_to_the_rate(database: Database) -> None:
    rate = Rate(500, timedelta(seconds=1))
    begin = time.monotonic()
    fill(database, 0)
    # From here on, because a busy machine may have been slow to empty the bucket.
    until = time.monotonic() + 1.0
    taken: list[int] = []

    def work() -> None:
        writer = database.writer()
        while time.monotonic() < until:
            with writer.write() as session:
                taken.append(spend(session, rate, 20).number)
        writer.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # SQLite counts milliseconds.
    assert sum(taken) <= 500 * (time.monotonic() - begin + 0.002)
    # How often they came to ask is the machine's business, but what came in meanwhile is still there.
    assert sum(taken) + spent(database, rate, 500).number >= 400


def test_time_is_not_paid_for_twice_when_one_worker_waits_for_another(
    postgresql_database: Database,
) -> None:
    rate = Rate(1000, timedelta(seconds=1))
    begin = time.monotonic()
    fill(postgresql_database, 0)
    found: list[Spent] = []
    other = threading.Thread(target=lambda: found.append(spent(postgresql_database, rate, 1000)))
    with postgresql_database.write() as session:
        first = spend(session, rate, 1000).number
        mark = time.monotonic()
        other.start()
        wait_until(lambda: waiters(postgresql_database) == 1)
        wait_until(lambda: time.monotonic() > mark + 0.3)
        second = spend(session, rate, 1000).number
    other.join()
    fourth = spent(postgresql_database, rate, 1000).number
    assert second >= 299
    assert first + second + found[0].number + fourth <= 1000 * (time.monotonic() - begin) + 1
