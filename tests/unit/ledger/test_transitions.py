"""The ledger changes a status only as this table says."""

from mailer.ledger import transitions
from mailer.ledger.transitions import HELD, TRANSITIONS, WAITING, Transition
from mailer.models import PENDING
from mailer.models import DeliveryStatus as S

FOLLOWERS = {
    S.QUEUED: {S.CLAIMED, S.CANCELLED, S.SENT, S.UNKNOWN},
    S.CLAIMED: {
        *(S.QUEUED, S.SENDING, S.DEFERRED, S.FAILED, S.SKIPPED, S.CANCELLED, S.SENT, S.UNKNOWN),
    },
    S.SENDING: {S.SENT, S.DEFERRED, S.FAILED, S.UNKNOWN},
    S.DEFERRED: {S.CLAIMED, S.CANCELLED, S.UNKNOWN},
    S.UNKNOWN: {S.QUEUED, S.SENT},
    S.SENT: set(),
    S.FAILED: set(),
    S.SKIPPED: set(),
    S.CANCELLED: set(),
}


def test_these_transitions_and_no_others_are_possible() -> None:
    possible = {(before, one.after) for one in TRANSITIONS for before in one.before}
    assert possible == {(before, after) for before, afters in FOLLOWERS.items() for after in afters}


def test_every_transition_is_listed() -> None:
    named = {one for one in vars(transitions).values() if isinstance(one, Transition)}
    assert named <= set(TRANSITIONS)


def test_a_row_that_waits_or_is_held_is_pending() -> None:
    assert {*HELD, *WAITING} == PENDING
