"""Holds the mails that a sender has claimed and not begun, and decides when and how many more it claims.

Pure. What is claimed is kept from all other workers until it has gone out, so it is no more than is needed.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from mailer.ledger.transitions import RowId
from mailer.rate import Rate
from mailer.sending.composer import OutgoingMail
from mailer.sending.flow_control.send_rate import most_to_claim
from mailer.sending.in_flight.commit import Claimed, Commit

LOOK_SECONDS: Final = 1.0
"""How often an idle sender looks for work; `wake` makes it look at once."""


class Outbox:
    """The next mails of one sender. All times are seconds of one monotonic clock.

    Args:
        rate: of all workers together; None: as fast as the relay takes them.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._mails: deque[OutgoingMail] = deque()
        self._more_waits = True
        self._is_claiming = self._gave_back = False
        self._claim_after = 0.0
        self._look_after = 0.0

    def __len__(self) -> int:
        return len(self._mails)

    @property
    def rows(self) -> list[RowId]:
        """The ledger's rows of these mails."""
        return [mail.claim.row for mail in self._mails]

    @property
    def is_claiming(self) -> bool:
        """Whether a claim has yet to be answered."""
        return self._is_claiming

    def take(self) -> OutgoingMail:
        """Take out the next mail; there must be one."""
        return self._mails.popleft()

    def put_back(self, mail: OutgoingMail) -> None:
        """Make a mail that was begun without result the next one again."""
        self._mails.appendleft(mail)

    def take_all(self) -> list[RowId]:
        """Take out all mails, and return their rows, which the caller releases."""
        rows = self.rows
        self._mails.clear()
        return rows

    def wanted(self, connections: int, now: float) -> int:
        """Return how many rows to claim now, if mails may be under way on so many connections."""
        held = len(self._mails)
        if (
            self._is_claiming
            or not self._more_waits
            or held >= connections
            or now < self._claim_after
        ):
            return 0
        most = 2 * connections if self._rate is None else most_to_claim(connections, self._rate)
        return max(0, most - held)

    def looks(self, now: float) -> bool:
        """Tell whether to ask the ledger now if work waits. If so, the next time is a second later."""
        if self._is_claiming or self._more_waits or now < self._look_after:
            return False
        self._look_after = now + LOOK_SECONDS
        return True

    def wait_seconds(self, connections: int, now: float) -> float:
        """Return in how many seconds it is time to claim or to look; a second at most."""
        due = LOOK_SECONDS
        if not (self._more_waits or self._is_claiming):
            due = self._look_after - now
        elif self.wanted(connections, max(now, self._claim_after)):
            due = self._claim_after - now
        return min(max(0.0, due), LOOK_SECONDS)

    def on_claiming(self) -> None:
        """Note that a claim is under way."""
        self._is_claiming, self._gave_back = True, False

    def on_committed(self, commit: Commit, now: float) -> None:
        """Note what a commit has recorded."""
        if commit.released or commit.postponed or commit.known is not None:
            # A claim that is under way may not have seen what was given back.
            self._more_waits = self._gave_back = True
            if not commit.claims:
                self._claim_after = now
        if commit.results and not self._mails:
            # That may have been the last mail of its digest.
            self.wake()

    def on_claimed(self, claimed: Claimed, mails: Sequence[OutgoingMail], now: float) -> None:
        """Take in `mails`: those that were claimed and are not in hand yet."""
        self._is_claiming = False
        self._more_waits = claimed.more_waits or self._gave_back
        self._claim_after = now + claimed.claim_in
        # A notice overtakes what was claimed before it.
        notices = [mail for mail in mails if mail.claim.digest_id is None]
        self._mails.extendleft(reversed(notices))
        self._mails.extend(mail for mail in mails if mail.claim.digest_id is not None)

    def on_looked(self, work_waits: bool) -> None:
        """Note whether rows wait, or a digest can be closed."""
        self._more_waits = self._more_waits or work_waits

    def on_database_failed(self) -> None:
        """Note that nobody knows whether rows wait. No claim is under way any more."""
        self._more_waits, self._is_claiming = True, False

    def wake(self) -> None:
        """Look at once."""
        self._look_after = 0.0
