"""A relay that allows fewer connections at once than the settings: it is used as far as it allows."""

import threading

import pytest

from tests.support.receiver import fine
from tests.support.sending import Post

CONNECTIONS = 10
TOO_MANY = "421 4.7.0 too many connections"
TIMES = 3


class Strict:
    """Answers so many connections at once, and takes mails only when each of them has brought one.

    When they have done so three times in a row the next limit holds, and beyond the last one none does.
    What is open when a limit falls stays open.

    Attributes:
        gathered: how many mails came together, each time.
        refused: how many connections it would not answer.
        is_late: it answers no EHLO before it has refused a connection.
    """

    def __init__(self, *limits: int, says: str | None = TOO_MANY, is_late: bool = False) -> None:
        self.gathered: list[int] = []
        self.refused = 0
        self.is_late = is_late
        self._limits = list(limits)
        self._says = says
        self._open = 0
        self._brought = 0
        self._changed = threading.Condition()

    @property
    def is_over(self) -> bool:
        """Whether each limit was reached."""
        return not self._limits

    def answer(self, verb: str, argument: str) -> str | None:
        with self._changed:
            if verb == "CONNECT":
                if self._limits and self._open >= self._limits[0]:
                    self.refused += 1
                    self._changed.notify_all()
                    return self._says
                self._open += 1
            if verb == "EHLO" and self.is_late:
                self._changed.wait_for(lambda: self.refused, 30)
            if verb == "QUIT":
                self._open -= 1
                self._changed.notify_all()
            if verb == "DOT" and self._limits:
                self._gather()
        return fine(verb, argument)

    def _gather(self) -> None:
        """Wait for the others; whoever makes them whole, or waits in vain, takes them all."""
        self._brought += 1
        turn = len(self.gathered)
        self._changed.wait_for(lambda: len(self.gathered) > turn or self._are_all_here, 30)
        if len(self.gathered) > turn:
            return
        self.gathered.append(self._brought)
        self._brought = 0
        if self.gathered[-TIMES:] == self._limits[:1] * TIMES:
            del self._limits[0]
        self._changed.notify_all()

    @property
    def _are_all_here(self) -> bool:
        return self._brought >= max(self._open, self._limits[0])


@pytest.mark.parametrize("says", [TOO_MANY, None], ids=["421", "drop"])
@pytest.mark.parametrize("is_late", [False, True], ids=["at-once", "late"])
def test_all_that_it_allows_are_used_all_the_time(
    post: Post, caplog: pytest.LogCaptureFixture, says: str | None, is_late: bool
) -> None:
    limit, each, rounds = 3, 2, 8
    readers = limit * rounds
    post.build(readers)
    # The same limit, again and again.
    strict = Strict(*[limit] * rounds, says=says, is_late=is_late)
    relay = post.send(strict.answer, connections=CONNECTIONS, messages_per_connection=each)
    assert strict.gathered == [limit] * rounds
    assert len(relay.mails) == post.counts().sent == readers
    assert strict.refused >= 1
    # Those that were let in brought two each: one that ended was opened anew.
    assert relay.connections - strict.refused == readers // each
    # It is no fault of the relay's, and nothing rests.
    assert f"no more than {limit} connections" in caplog.text
    assert "the relay failed" not in caplog.text


def test_a_limit_that_rises_and_falls_is_followed(post: Post) -> None:
    readers = 500
    strict = Strict(3, 7, 2, 9)
    relay = post.send_to(readers, strict.answer, connections=CONNECTIONS, messages_per_connection=4)
    assert strict.is_over, strict.gathered
    assert len(relay.mails) == post.counts().sent == readers
    assert post.counts().in_doubt == 0
