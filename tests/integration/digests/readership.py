"""What readers and the relay do in a random life, beside the newsroom.

Each act goes through the functions that pages and senders call, and is told to the model.
"""

from datetime import timedelta
from secrets import token_bytes
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.prepared_statements import execute
from mailer.ledger import claims, digest_state, outcomes
from mailer.ledger.transitions import AttemptResult, Claim
from mailer.models import DeliveryStatus, Subscriber, Subscription, SuppressionReason
from mailer.newsletters.offer import Publisher
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.permission.suppress import suppress
from mailer.subscribers import preferences
from mailer.subscribers.confirmation import confirm
from tests.integration.digests.model import Mail, Person, Reader
from tests.integration.digests.newsroom import DAY, Newsroom
from tests.support import factories as make

S = DeliveryStatus
ENDS: Final = [S.SENT] * 14 + [S.FAILED] * 2 + [S.DEFERRED] * 2 + [S.UNKNOWN] * 2
PENDING: Final = {S.QUEUED, S.DEFERRED}


class Readership(Newsroom):
    """A newsroom with readers who come, change their minds and go, and a relay with moods."""

    def join(self) -> None:
        """Somebody confirms a sign-up: somebody new, a reader of the other newsletter, or one who left."""
        schedule = self.random.choice(self.schedules)
        here = {
            one.person.id: one
            for one in self.model.readers
            if one.newsletter == schedule.newsletter_id
        }
        others = [
            number
            for number, person in enumerate(self.model.people)
            if person.id not in here or here[person.id].left
        ]
        number = len(self.model.people)
        if others and self.random.random() < 0.4:
            number = self.random.choice(others)
        with self.database.write() as session:
            signup = make.signup(
                session,
                self.keys,
                schedule,
                f"reader{number}@example.com",
                created_at=self.now,
                expires_at=self.now + DAY,
            )
            key_hash = signup.key_hash
        # A second later, for somebody may have left in this one.
        origin = Origin("/a-life", self.now + timedelta(seconds=1))
        with self.database.write() as session:
            confirm(session, Publisher(), signup.public_id, origin, random=token_bytes)
            row = session.scalars(
                select(Subscription)
                .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
                .where(
                    Subscriber.key_hash == key_hash,
                    Subscription.newsletter_id == schedule.newsletter_id,
                )
            ).one()
        if number == len(self.model.people):
            self.model.people.append(Person(row.subscriber_id))
        person = self.model.people[number]
        assert person.id == row.subscriber_id
        # Whoever presses the button has got our mail: the address works.
        person.refused = False
        if person.id in here:
            self.model.readers.remove(here[person.id])
        self.model.readers.append(
            Reader(row.id, person, row.newsletter_id, schedule.id, self.model.newest)
        )

    @property
    def origin(self) -> Origin:
        return Origin("/a-life", self.now)

    def switch(self) -> None:
        """Daily to weekly, or back."""
        reader = self._somebody()
        if reader is None:
            return
        others = [
            one
            for one in self.schedules
            if one.newsletter_id == reader.newsletter and one.id != reader.schedule
        ]
        if not others:
            return
        with self.database.write() as session:
            place = self._place(session, reader)
            option = place.offer.option(others[0].name)
            assert option is not None
            preferences.change_schedule(session, place, option, self.origin)
        reader.schedule = others[0].id

    def pause(self) -> None:
        """Somebody pauses, or resumes and starts afresh."""
        reader = self._somebody()
        # Few stay away for long.
        if reader is None or (not reader.paused and self.random.random() < 0.6):
            return
        act = preferences.resume if reader.paused else preferences.pause
        with self.database.write() as session:
            act(session, self._place(session, reader), self.origin)
        if reader.paused:
            reader.start = self.model.newest
        reader.paused = not reader.paused

    def leave(self) -> None:
        reader = self._somebody()
        if reader is None:
            return
        with self.database.write() as session:
            row = session.get_one(Subscription, reader.id)
            leave(session, row, self.origin, reason="reader")
        reader.left = True

    def relay(self) -> None:
        """The relay takes some of what waits: it accepts, puts off, refuses, or falls silent."""
        waiting = {
            mail.id: (mail, person)
            for person in self.model.people
            for mail in person.mails
            if mail.status in PENDING
        }
        with self.database.write() as session:
            claimed, skipped = execute(claims.claim(self.worker, 100_000, self.now), session)
        claimed_ids = {claim.row.id for claim in claimed}
        places = {(one.person.id, one.newsletter): one for one in self.model.readers}
        for mail, person in waiting.values():
            allowed = places[person.id, mail.newsletter].may_be_mailed
            assert allowed == (mail.id in claimed_ids), f"mail {mail.id} of person {person.id}"
            # What was claimed and is not tried is given back, and waits as if it had never been tried.
            if allowed:
                mail.status = S.QUEUED
            else:
                mail.end(S.SKIPPED)
        assert len(waiting) == len(claimed) + skipped
        tried = [one for one in claimed if self.random.random() < 0.8]
        with self.database.write() as session:
            granted = execute(
                outcomes.start(self.worker, [one.row for one in tried], self.now), session
            )
        assert granted == {one.row for one in tried}
        results = [self._tried(claim, *waiting[claim.row.id]) for claim in tried]
        with self.database.write() as session:
            execute(outcomes.record(results, self.now), session)
            claims.release(session, self.worker)
            digest_state.finish_digests(session, self.now)

    def _tried(self, claim: Claim, mail: Mail, person: Person) -> AttemptResult:
        end = self.random.choice(ENDS)
        in_doubt_first = end is S.UNKNOWN and not mail.resent
        again = end is S.DEFERRED or in_doubt_first
        if end is S.FAILED:
            mail.end(S.FAILED)
        else:
            mail.status = S.QUEUED if in_doubt_first else end
        mail.resent = mail.resent or in_doubt_first
        self.happened[end.value] += 1
        if end is S.FAILED and self.random.random() < 0.3:
            self._refuse(person)
        return AttemptResult(
            claim.row,
            self.worker,
            claim.attempts + 1,
            end,
            "dot",
            None,
            "so said the relay",
            self.now if again else None,
        )

    def _refuse(self, person: Person) -> None:
        """The relay has refused this address for good."""
        person.refused = True
        with self.database.write() as session:
            suppress(
                session,
                key_hash=session.get_one(Subscriber, person.id).key_hash,
                address=None,
                reason=SuppressionReason.BOUNCED,
                now=self.now,
            )

    def cancel(self) -> None:
        """Staff end a digest whose mails are not all out: what waits is given back."""
        if self.random.random() < 0.7:
            return
        digests = {
            mail.digest
            for person in self.model.people
            for mail in person.mails
            if mail.status in PENDING
        }
        if digests:
            chosen = self.random.choice(sorted(digests))
            with self.database.write() as session:
                assert digest_state.cancel_digest(session, chosen, self.now)
            for person in self.model.people:
                for mail in person.mails:
                    if mail.digest == chosen and mail.status in PENDING:
                        mail.end(S.CANCELLED)

    def _somebody(self) -> Reader | None:
        here = [reader for reader in self.model.readers if not reader.left]
        return self.random.choice(here) if here else None

    def _place(self, session: Session, reader: Reader) -> preferences.SubscriptionView:
        public_id = session.get_one(Subscription, reader.id).public_id
        found = preferences.read_subscription(session, Publisher(), public_id)
        assert found is not None
        return found
