"""Each rule of flow control, as the table in docs/design.md has it: what follows, and when it ends."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import RowId
from mailer.models import Delivery
from mailer.sending.flow_control.attempt import Attempt, Conclusion, SenderId
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import SENT, Lost, OnDelivery, Unopened, verdict_on

DESIGN = Path(__file__).parents[4] / "docs" / "design.md"

OURS = SenderId("ours@news.example", "news.example")
OTHER = SenderId("other@news.example", "news.example")
DIGEST, DIGEST_OF_OTHER = 7, 8
ALL = None
"""What a pause of all sending names instead of a digest."""


@dataclass
class Relay:
    """Flow control with ten connections unless a rule says otherwise, and all that it had paused."""

    flow: FlowControl
    pauses: list[Pause] = field(default_factory=list)
    last: Conclusion | None = None


Event = Callable[[Relay], None]


def answer(
    now: float, step: Step, said: Reply | Lost, *, sender: SenderId = OURS, mail: int = 1
) -> Event:
    """The relay answers for a mail, or does not answer."""

    def happen(relay: Relay) -> None:
        verdict = SENT if said == OK else verdict_on(step, said)
        digest_id = DIGEST if sender == OURS else DIGEST_OF_OTHER
        attempt = Attempt(RowId(Delivery, mail), digest_id, sender)
        relay.last = relay.flow.on_answer(attempt, step, verdict, str(said), now)
        relay.pauses += relay.last.pauses

    return happen


OK = Reply(250)


def sent(now: float, *, sender: SenderId = OURS, mail: int = 2) -> Event:
    return answer(now, Step.DOT, OK, sender=sender, mail=mail)


def lost(now: float) -> Event:
    """An idle connection is lost."""
    return lambda relay: relay.flow.on_lost("the connection was lost", now)


def unopened(now: float, step: Step, code: int, others: int = 0) -> Event:
    def happen(relay: Relay) -> None:
        pause = relay.flow.on_unopened(Unopened(step, Reply(code), "no"), others, now)
        relay.pauses += [pause] if pause else []

    return happen


def opened(number: int) -> Event:
    return lambda relay: relay.flow.on_connections(number)


def begins(now: float, sender: SenderId, digest_id: int) -> Event:
    def happen(relay: Relay) -> None:
        assert relay.flow.admits(sender, digest_id, now)

    return happen


def resumed() -> Event:
    """Staff let what was paused go on: from here on only new pauses count."""
    return lambda relay: relay.pauses.clear()


@dataclass(frozen=True)
class Seen:
    """What may be done at a moment, and what was paused until then. As it is if nothing holds us back."""

    begins: bool = True
    allowed: int = 10
    room: int = 10
    held: frozenset[int] = frozenset()
    paused: Sequence[int | None] = ()


@dataclass(frozen=True)
class Rule:
    """What is observed, what is seen to follow from it at which times, and what ends it.

    Attributes:
        mail: what becomes of the mail of the last answer that is observed, and how long it waits.
    """

    observed: Sequence[Event]
    follows: Mapping[float, Seen]
    ends: Sequence[Event]
    after: tuple[float, Seen]
    mail: tuple[OnDelivery, float | None] | None = None
    connections: int = 10


CLOSING, BUSY = Reply(421), Reply(452, ("4.3.1 busy",))
SPAM, NO_SENDER = Reply(550, ("5.7.1 spam",)), Reply(550, ("5.1.8 no such sender",))
NO_SUCH_DOMAIN = Reply(451, ("4.1.8 no such domain",))


def doubt(now: float) -> Event:
    return answer(now, Step.DOT, Lost.DROP)


def refuses_us(now: float) -> Event:
    return unopened(now, Step.AUTH, 535)


def spam(now: float) -> Event:
    return answer(now, Step.DOT, SPAM)


RULES = {
    "back-off": Rule(
        [lost(10), lost(10.5), unopened(11, Step.GREETING, 421), sent(12)],
        {12.9: Seen(begins=False, allowed=1, room=1), 13: Seen(allowed=1, room=1)},
        [sent(13)],
        (13, Seen()),
    ),
    "refusals of us": Rule(
        [refuses_us(10), refuses_us(20), refuses_us(30)],
        {33.9: Seen(begins=False, allowed=1, room=1, paused=(ALL,))},
        [resumed(), refuses_us(40), sent(50), refuses_us(60), refuses_us(70)],
        (72, Seen(allowed=1, room=1)),
    ),
    "throttle": Rule(
        [answer(now, Step.DOT, BUSY) for now in (10, 10.9, 12)],
        {12: Seen(allowed=2, room=2)},
        [sent(12)] * (2 + 3 + 4 + 5 + 6 + 7 + 8 + 9),
        (12, Seen()),
        mail=(OnDelivery.DEFER, None),
    ),
    "throttle of the last connection": Rule(
        [answer(now, Step.DOT, BUSY) for now in (10, 11)],
        {12.9: Seen(begins=False, allowed=1, room=1), 13: Seen(allowed=1, room=1)},
        [sent(13), answer(20, Step.DOT, BUSY)],
        (21, Seen(allowed=1, room=1)),
        mail=(OnDelivery.DEFER, None),
        connections=1,
    ),
    "ceiling": Rule(
        [unopened(now, Step.GREETING, 421, others=5) for now in (10, 10.9, 11)],
        {12.9: Seen(allowed=5, room=5), 13: Seen(allowed=5, room=6)},
        [opened(6)],
        (12.9, Seen(allowed=6, room=7)),
    ),
    "lower ceiling": Rule(
        [unopened(now, Step.GREETING, 421, others) for now, others in ((10, 5), (11, 5), (11, 4))],
        {11.9: Seen(allowed=4, room=4), 12: Seen(allowed=4, room=5)},
        [opened(5)],
        (12, Seen(allowed=5, room=6)),
    ),
    "failure on one mail": Rule(
        [answer(10, Step.DATA, CLOSING)],
        {10.9: Seen(begins=False, allowed=1, room=1)},
        [sent(11)],
        (11, Seen()),
        mail=(OnDelivery.RELEASE, 2.0),
    ),
    "third failure on one mail": Rule(
        [
            *(answer(10, Step.DATA, CLOSING), sent(11)),
            *(answer(20, Step.BLOCK, Lost.DROP), sent(21)),
            answer(30, Step.RCPT, Lost.TIMEOUT),
        ],
        {30.9: Seen(begins=False, allowed=1, room=1)},
        [sent(31)],
        (31, Seen()),
        mail=(OnDelivery.DEFER, None),
    ),
    "tenth failure on one mail": Rule(
        [answer(1000.0 * number, Step.DATA, CLOSING) for number in range(1, 11)],
        {10_299: Seen(begins=False, allowed=1, room=1)},
        [sent(10_300)],
        (10_300, Seen()),
        mail=(OnDelivery.DEFER, None),
    ),
    "refused sender": Rule(
        [
            *(sent(1, sender=OTHER), answer(10, Step.MAIL, NO_SENDER)),
            *(begins(12, OURS, DIGEST), answer(12.5, Step.MAIL, NO_SENDER)),
        ],
        {15.4: Seen(held=frozenset({DIGEST})), 15.5: Seen()},
        [begins(15.5, OURS, DIGEST), sent(16)],
        (16, Seen()),
        mail=(OnDelivery.RELEASE, 2.0),
    ),
    "sender refused too often": Rule(
        [sent(1, sender=OTHER), *(answer(now, Step.MAIL, NO_SENDER) for now in (10, 20, 30))],
        {34.9: Seen(held=frozenset({DIGEST}), paused=(DIGEST,)), 35: Seen(paused=(DIGEST,))},
        [resumed(), sent(40)],
        (40, Seen()),
        mail=(OnDelivery.RELEASE, 2.0),
    ),
    "sender refused for now too often": Rule(
        [
            sent(1, sender=OTHER),
            *(answer(100.0 * number, Step.MAIL, NO_SUCH_DOMAIN) for number in range(1, 7)),
        ],
        {632.9: Seen(held=frozenset({DIGEST}), paused=(DIGEST,)), 633: Seen(paused=(DIGEST,))},
        [resumed(), sent(640)],
        (640, Seen()),
        mail=(OnDelivery.RELEASE, 2.0),
    ),
    "all senders refused": Rule(
        [answer(now, Step.MAIL, NO_SENDER) for now in (10, 20, 30)],
        {33.9: Seen(False, 1, 1, frozenset({DIGEST}), paused=(DIGEST,))},
        [resumed(), sent(40)],
        (40, Seen()),
        mail=(OnDelivery.RELEASE, 5.0),
    ),
    "a reader's system": Rule(
        [sent(1), sent(1, sender=OTHER), answer(10, Step.RCPT, NO_SENDER)],
        {10: Seen()},
        [answer(11, Step.RCPT, NO_SENDER)],
        (11, Seen(held=frozenset({DIGEST}))),
        mail=(OnDelivery.FAIL, None),
    ),
    "doubts": Rule(
        [doubt(10)] * 4,
        {10: Seen(allowed=2, room=2, paused=(DIGEST,))},
        [resumed(), *[doubt(20)] * 3, sent(20), *[doubt(20)] * 3],
        (20, Seen(allowed=2, room=2)),
        mail=(OnDelivery.DOUBT, None),
        connections=2,
    ),
    "doubts again and again": Rule(
        [doubt(now) for now in range(6)],
        {5: Seen(paused=(DIGEST,))},
        [resumed(), *map(doubt, range(10, 15)), sent(15), *map(doubt, range(15, 20))],
        (20, Seen()),
        mail=(OnDelivery.DOUBT, None),
    ),
    "refusals at first": Rule(
        [spam(10)] * 4,
        {10: Seen(allowed=1, room=1, paused=(DIGEST,))},
        [resumed(), *[spam(20)] * 3, sent(20), *[spam(20)] * 3],
        (20, Seen(allowed=1, room=1)),
        mail=(OnDelivery.FAIL, None),
        connections=1,
    ),
    "refusals in a row": Rule(
        [sent(10), *[spam(10)] * 8],
        {10: Seen(allowed=1, room=1, paused=(DIGEST,))},
        [resumed(), sent(20), *[spam(20)] * 7, sent(20), *[spam(20)] * 7],
        (20, Seen(allowed=1, room=1)),
        mail=(OnDelivery.FAIL, None),
        connections=1,
    ),
    "refusals in a window": Rule(
        [sent(10), spam(10)] * 20,
        {10: Seen(paused=(DIGEST,))},
        [resumed(), *[spam(20), *[sent(20)] * 5] * 20],
        (20, Seen()),
        mail=(OnDelivery.FAIL, None),
    ),
}


def look(relay: Relay, now: float) -> Seen:
    flow = relay.flow
    return Seen(
        flow.may_begin(now),
        flow.allowed,
        flow.room(now),
        flow.paused_digests(now),
        tuple(pause.digest_id for pause in relay.pauses),
    )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule(rule: Rule) -> None:
    relay = Relay(FlowControl(rule.connections, lambda: 0.5))
    for event in rule.observed:
        event(relay)
    if relay.last is not None and rule.mail is not None:
        assert (relay.last.verdict.delivery, relay.last.wait_seconds) == rule.mail
    assert {now: look(relay, now) for now in rule.follows} == rule.follows
    for event in rule.ends:
        event(relay)
    now, seen = rule.after
    assert look(relay, now) == seen


def test_the_table_of_the_documentation_has_these_rules() -> None:
    section = (
        DESIGN.read_text().partition("## What holds a sender back?\n")[2].partition("\n## ")[0]
    )
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", section, re.MULTILINE) == list(RULES)
