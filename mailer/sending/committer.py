"""Executes what the sender asks of the database, one commit at a time.

On PostgreSQL the sender does not wait for a plain commit: it is sent, and `poll` returns what has been
answered. What it claims is sent beside it, on a connection that does not wait for the disk: if the server
forgets a claim, no start of its rows is granted until they are claimed again. Decides nothing about mails.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer import failpoint
from mailer.clock import Times
from mailer.db import Database, is_unusable
from mailer.db.prepared_statements import Queries, execute
from mailer.ledger import claims, digest_state, outcomes, recovery
from mailer.ledger.last_claims import LastClaims
from mailer.ledger.transitions import Claim, RowId
from mailer.notices import alert
from mailer.notices.alert import Alerts
from mailer.rate import Rate
from mailer.sending.composer import Composer, OutgoingMail
from mailer.sending.flow_control import token_bucket
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from mailer.text.untrusted import redact

if TYPE_CHECKING:
    from mailer.db.nonblocking import NonblockingConnection

FINISH_SECONDS: Final = 1.0
"""How often digests are closed while claims find rows: a small digest is not kept open by a large one."""


Answer = Committed | Claimed | CommitFailed
"""What `Committer` tells of a commit."""


class _Found(NamedTuple):
    """What a claim found; `asked` is how many rows the rate allowed it to take."""

    asked: int = 0
    claims: Sequence[Claim] = ()
    skipped: int = 0
    claim_in: float = 0.0

    @property
    def more_waits(self) -> bool:
        return len(self.claims) + self.skipped >= self.asked


class _Recorded(NamedTuple):
    """What has been committed."""

    granted: frozenset[RowId]
    claimed: _Found


class Committer:
    """The only one who writes to the database for a sender, its heartbeat aside.

    Args:
        worker_id: returns the worker that holds what is claimed.
        rate: of all workers together; None: as fast as the relay takes them.
    """

    def __init__(
        self,
        database: Database,
        composer: Composer,
        worker_id: Callable[[], int],
        times: Times,
        *,
        rate: Rate | None,
        alerts: Alerts,
    ) -> None:
        self._database = database
        self._writer = database.writer()
        self._composer = composer
        self._worker_id = worker_id
        self._times = times
        self._rate = rate
        self._alerts = alerts
        self._rotation = 0
        self._last_claims = LastClaims()
        self._finish_after = 0.0
        self._recording: NonblockingConnection | None = None
        self._claiming: NonblockingConnection | None = None

    def begin(self, commit: Commit) -> list[Answer]:
        """Begin a commit. Return what is known of it already; `poll` will yield the rest.

        Before the last one has returned, begin no other, and claim nothing before its claim has.
        """
        try:
            if not self._is_plain(commit):
                return self._returned(commit, self._in_session(commit))
            if self._database.is_sqlite:
                return self._returned(commit, self._writer.execute(self._plain(commit)))
            return self._send(commit)
        except SQLAlchemyError as error:
            return [self._failed(error)]

    def fileno(self) -> int | None:
        """Return the file that can be read when `poll` may have an answer; None if nothing is under way."""
        under_way = self._recording or self._claiming
        return None if under_way is None else under_way.fileno()

    def poll(self) -> Iterator[Answer]:
        """Yield what has been answered since the last call."""
        try:
            if self._recording and (granted := self._recording.poll()) is not None:
                yield self._recorded(granted)
            if self._claiming and (claimed := self._claiming.poll()) is not None:
                yield self._claimed(claimed)
        except SQLAlchemyError as error:
            yield self._failed(error)

    def look(self) -> Looked | CommitFailed:
        """Look whether a claim would find anything, or a digest can be closed."""
        try:
            with self._database.read() as session:
                return Looked(claims.work_waits(session, self._times.wall()))
        except SQLAlchemyError as error:
            return self._failed(error)

    def abandon(self) -> None:
        """Forget what is under way, which may have been made or not."""
        self._recording = self._claiming = None
        self._writer.close()

    def close(self) -> bool:
        """Release what is still claimed. Return False if the database cannot be used."""
        self.abandon()
        try:
            with self._writer.write() as session:
                claims.release(session, self._worker_id())
            self._writer.close()
        except SQLAlchemyError:
            return False
        return True

    # Plain commits.

    def _is_plain(self, commit: Commit) -> bool:
        """Tell whether a commit is only queries, and on PostgreSQL only such as need no transaction."""
        if not commit.is_plain or (commit.claims and self._rate is not None):
            return False
        return self._database.is_sqlite or outcomes.none_is_in_doubt(commit.results)

    def _plain(self, commit: Commit) -> Queries[_Recorded]:
        now = self._times.wall()
        granted = yield from self._record_and_start(commit, now)
        claimed = yield from self._claim(commit, commit.claims, now)
        return _Recorded(granted, claimed)

    def _send(self, commit: Commit) -> list[Answer]:
        now = self._times.wall()
        answers: list[Answer] = []
        self._recording = self._writer.nonblocking()
        granted = self._recording.begin(self._record_and_start(commit, now))
        if granted is not None:
            answers.append(self._recorded(granted))
        if commit.claims:
            self._claiming = self._writer.nonblocking(durable=False)
            claimed = self._claiming.begin(self._claim(commit, commit.claims, now))
            if claimed is not None:
                answers.append(self._claimed(claimed))
        return answers

    def _record_and_start(self, commit: Commit, now: datetime) -> Queries[frozenset[RowId]]:
        together = not self._database.is_sqlite
        granted = yield from outcomes.record_and_start(
            self._worker_id(), commit.results, commit.starts, now, together
        )
        return frozenset(granted)

    def _claim(self, commit: Commit, number: int, now: datetime) -> Queries[_Found]:
        if not number:
            return _Found()
        self._rotation += 1
        claimed, skipped = yield from claims.claim(
            self._worker_id(),
            number,
            now,
            rotation=self._rotation,
            excluded=commit.excluded,
            last_claims=self._last_claims,
        )
        return _Found(number, claimed, skipped)

    # Other commits.

    def _in_session(self, commit: Commit) -> _Recorded:
        now, worker_id = self._times.wall(), self._worker_id()
        with self._writer.write() as session:
            # Other workers wait for the tokens, so they come before any row that somebody may wait for.
            asked, claim_in = self._pay(session, commit)
            for row, seconds in commit.postponed:
                claims.release(session, worker_id, [row], again_at=now + timedelta(seconds=seconds))
            if commit.known is not None:
                claims.release_unknown(session, worker_id, commit.known, now)
            if commit.released:
                claims.release(session, worker_id, commit.released)
            granted = execute(self._record_and_start(commit, now), session)
            for pause in commit.pauses:
                alert.on_pause(session, self._alerts, pause, now)
            if commit.turned_away:
                alert.on_sender_refused(
                    session, self._alerts, commit.turned_away, commit.refused, now
                )
            # What is paused now must not be claimed.
            self._last_claims.remember_sources((), now)
            claimed = execute(self._claim(commit, asked, now), session)
            if unused := asked - len(claimed.claims):
                self._refund(session, unused)
                claim_in = 0.0
        return _Recorded(granted, claimed._replace(claim_in=claim_in))

    def _pay(self, session: Session, commit: Commit) -> tuple[int, float]:
        """Pay for the claim. Return how many rows it may take, and in how many seconds there may be more."""
        self._refund(session, len(commit.released) + len(commit.postponed))
        if self._rate is None or not commit.claims:
            return commit.claims, 0.0
        return token_bucket.spend(session, self._rate, commit.claims)

    def _refund(self, session: Session, number: int) -> None:
        """Pay back what was not begun, so that the next mail need not wait for a token."""
        if self._rate is not None and number:
            token_bucket.refund(session, self._rate, number)

    # After the commit.

    def _recorded(self, granted: frozenset[RowId]) -> Committed:
        self._recording = None
        return Committed(granted)

    def _returned(self, commit: Commit, recorded: _Recorded) -> list[Answer]:
        """Tell of a commit that has recorded and claimed at once."""
        committed = Committed(recorded.granted)
        if not commit.claims:
            return [committed]
        claimed = self._claimed(recorded.claimed)
        if isinstance(claimed, CommitFailed) or claimed.unready:
            # The commit is made all the same: the database has failed after it.
            return [committed, claimed]
        # The next mails may begin behind the final dots that are granted.
        return [claimed, committed]

    def _claimed(self, claimed: _Found) -> Claimed | CommitFailed:
        is_recording, self._claiming = self._recording is not None, None
        try:
            mails = self._ready(claimed)
        except SQLAlchemyError as error:
            failed = self._failed(error)
            if is_recording or not claimed.claims:
                # What was being recorded is abandoned too.
                return failed
            return Claimed(unready=[claim.row for claim in claimed.claims])
        return Claimed(mails, claimed.more_waits, claimed.claim_in)

    def _ready(self, claimed: _Found) -> list[OutgoingMail]:
        """Make the claimed mails ready."""
        if not claimed.asked:
            return []
        self._finish_digests(claimed)
        mails = self._load(claimed.claims)
        self._try_out(mails)
        if mails:
            failpoint.reach("worker.after-claim")
        return mails

    def _load(self, claimed: Sequence[Claim]) -> list[OutgoingMail]:
        # It costs nothing unless something must be read.
        with Session(self._database.engine, expire_on_commit=False) as session:
            return sorted(self._composer.load(session, claimed), key=_is_delivery)

    def _finish_digests(self, claimed: _Found) -> None:
        monotonic = self._times.monotonic()
        found_some = claimed.claims or claimed.skipped
        if found_some and monotonic < self._finish_after:
            return
        self._finish_after = monotonic + FINISH_SECONDS
        with self._writer.write() as session:
            digest_state.finish_digests(session, self._times.wall())

    def _try_out(self, mails: Sequence[OutgoingMail]) -> None:
        """Compose the mails that a worker may have died of, each alone: if this one dies, it was that one."""
        for mail in mails:
            if mail.claim.crashes:
                self._note_crashes(mail.claim, mail.claim.crashes + 1)
                self._composer.try_out(mail)
                self._note_crashes(mail.claim, 0)

    def _note_crashes(self, claim: Claim, crashes: int) -> None:
        with self._writer.write() as session:
            recovery.note_crashes(session, claim, crashes)

    def _failed(self, error: SQLAlchemyError) -> CommitFailed:
        self.abandon()
        if not is_unusable(error):
            raise error
        return CommitFailed(redact(str(error).partition("\n")[0]))


def _is_delivery(mail: OutgoingMail) -> bool:
    return mail.claim.addressee is not None
