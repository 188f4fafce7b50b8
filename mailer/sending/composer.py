"""Makes the mail of a row of the ledger: reads what it needs, and composes its envelope and bytes.

The same row gives the same bytes at every attempt. The ledger decides whether it may go.
"""

import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer import failpoint
from mailer.db import is_unreadable
from mailer.errors import BadMessage, MailerError, NeedsSmtputf8
from mailer.ledger.transitions import Addressee, Claim
from mailer.message.dkim import DkimSigner
from mailer.message.header_lines import wire_address
from mailer.message.headers import digest_headers, notice_headers, reader_headers
from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.message.reader_fields import ReaderField
from mailer.models import (
    Delivery,
    Digest,
    Edition,
    Holds,
    Newsletter,
    Notice,
    Review,
    ReviewAct,
    Schedule,
    Signup,
    Subscriber,
    Subscription,
)
from mailer.sending.compiled_content import UNREADABLE, CompiledContent, compile_content
from mailer.sending.smtp.capabilities import Capabilities
from mailer.sending.smtp.events import Envelope
from mailer.text.reader_name import reader_name
from mailer.tokens import Keys, Purpose, message_id

if TYPE_CHECKING:
    from mailer.templating.templates import Templates

log = logging.getLogger(__name__)

PREFERENCES_LIFETIME = timedelta(hours=1)
"""How long the links of `_OF_SUBSCRIBER` in a notice live, counted from when it first goes out."""

_EDITIONS_KEPT = 16

_LINKS: Final = {
    ReaderField.UNSUBSCRIBE: (Purpose.UNSUBSCRIBE, "unsubscribe"),
    ReaderField.CONFIRM: (Purpose.CONFIRM, "confirm"),
    ReaderField.NOTME: (Purpose.NOT_ME, "not-me"),
    ReaderField.PREFERENCES: (Purpose.PREFERENCES, "preferences"),
    ReaderField.DATA: (Purpose.DATA, "data"),
    ReaderField.ERASE: (Purpose.ERASE, "erase"),
    ReaderField.STOP: (Purpose.REVIEW, "review"),
    ReaderField.SEND: (Purpose.REVIEW, "review"),
}
"""What the token in each link is for, and the path before it."""

_OF_SUBSCRIBER: Final = (ReaderField.PREFERENCES, ReaderField.DATA, ReaderField.ERASE)
_LACKING: Final = {
    ReaderField.CONFIRM: "the sign-up that this mail is about is gone; sign up again",
    ReaderField.NOTME: "the sign-up that this mail is about is gone; sign up again",
    ReaderField.STOP: "the review that this mail is about is gone; wait for the next",
    ReaderField.SEND: "the review that this mail is about is gone; wait for the next",
}
"""Why a mail without one of these links cannot be sent."""


class OutgoingMail(NamedTuple):
    """The mail of one claimed row. Its links are made when it is composed.

    Attributes:
        links: the public ids in the reader's links, and when each link expires.
    """

    claim: Claim
    compiled: CompiledContent
    address: str
    created_at: datetime
    name: str | None = None
    links: Mapping[ReaderField, tuple[int, datetime | None]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Why this one mail cannot be handed to the relay.

    Attributes:
        lacks_smtputf8: only because the relay does not take such addresses.
    """

    reason: str
    lacks_smtputf8: bool = False


class Composer:
    """Loads mails and composes them. An edition is compiled once and kept while it is used.

    Args:
        base_url: what links start with, without a slash at its end.
        templates: for the words of the greeting.
        options: what the operator has set for all mails.
        dkim_signer: None if the relay signs, or nobody does.
    """

    def __init__(
        self,
        keys: Keys,
        base_url: str,
        templates: "Templates",
        *,
        options: MailOptions = NO_OPTIONS,
        dkim_signer: DkimSigner | None = None,
    ) -> None:
        self._keys = keys
        self._dkim_signer = dkim_signer
        self._base_url = base_url
        self._links = {
            name: (purpose, f"{base_url}/{path}/") for name, (purpose, path) in _LINKS.items()
        }
        self._templates = templates
        self._options = options
        self._editions: OrderedDict[int, CompiledContent] = OrderedDict()

    def load(self, session: Session, claims: Collection[Claim]) -> list[OutgoingMail]:
        """Load the mails of these rows, in their order. Only reads."""
        notices = {claim.row.id: claim for claim in claims if claim.addressee is None}
        mails = self._load_readable_notices(session, notices) if notices else {}
        self._load_editions(
            session, {claim.addressee.edition_id for claim in claims if claim.addressee}
        )
        return [
            self._delivery(claim, claim.addressee) if claim.addressee else mails[claim]
            for claim in claims
        ]

    def compose(self, mail: OutgoingMail, *, utf8: bool) -> tuple[Envelope, bytes]:
        """Compose the envelope and the complete bytes of this mail.

        Args:
            utf8: the relay offers SMTPUTF8.

        Raises:
            NeedsSmtputf8: the address needs it, and the relay does not offer it.
            BadMessage: the content or the address cannot be sent.
            BadAddress: the address cannot be written in an SMTP command.
        """
        compiled, claim = mail.compiled, mail.claim
        failpoint.reach("worker.compose", claim.row.id)
        if compiled.mail is None:
            raise BadMessage(compiled.fault)
        recipient = wire_address(mail.address, utf8=utf8)
        table, row_id = claim.row
        reference = self._keys.reference(table.__tablename__, row_id, mail.created_at)
        values = {name: self._field(mail, name) for name in compiled.mail.fields}
        headers = self._options.reference_lines.write(reference)
        bounce_address = self._options.bounce_address
        if table is Delivery:
            url = values.get(ReaderField.UNSUBSCRIBE) or self._field(mail, ReaderField.UNSUBSCRIBE)
            mailto = bounce_address.unsubscribe_url(reference) if bounce_address else None
            headers += reader_headers(delivery_id=row_id, unsubscribe_url=url, mailto=mailto)
        data = compiled.mail.render(
            to=recipient,
            message_id=message_id(reference, compiled.sender.rpartition("@")[2]),
            date=claim.first_attempt_at,
            headers=headers,
            fields=values,
        )
        if self._dkim_signer is not None:
            data = self._dkim_signer.sign(data, at=claim.first_attempt_at)
        sender = bounce_address.sender(reference) if bounce_address else compiled.sender
        return Envelope(sender, recipient), data

    def try_out(self, mail: OutgoingMail) -> None:
        """Compose this mail and discard it: a worker may have died of it before."""
        self.for_relay(mail, Capabilities())

    def for_relay(
        self, mail: OutgoingMail, offers: Capabilities
    ) -> tuple[Envelope, bytes] | Unsendable:
        """Compose a mail for a relay with these capabilities. A fault in it fails only this mail.

        Raises:
            MemoryError: that is no fault of this mail's, so it is not given up.
        """
        try:
            envelope, data = self.compose(mail, utf8=offers.offers("SMTPUTF8"))
        except NeedsSmtputf8:
            reason = "unsupported_eai: the relay does not offer SMTPUTF8"
            return Unsendable(reason, lacks_smtputf8=True)
        except MailerError as error:
            return Unsendable(str(error))
        except MemoryError:
            raise
        except Exception as error:
            # A fault of ours with one mail: the next reader's may well be good.
            log.exception("a mail could not be composed: row %d", mail.claim.row.id)
            return Unsendable(f"it could not be composed: {type(error).__name__}")
        if offers.size is not None and len(data) > offers.size:
            return Unsendable(f"the mail has {len(data)} bytes, and the relay takes {offers.size}")
        return envelope, data

    def _field(self, mail: OutgoingMail, name: ReaderField) -> str:
        if link := mail.links.get(name):
            purpose, start = self._links[name]
            return start + self._keys.make(purpose, *link)
        if name is ReaderField.GREETING:
            return greeting(self._templates, mail.compiled.content.language, mail.name)
        if name in _LACKING:
            raise BadMessage(_LACKING[name])
        # A test copy has no reader: it links to the page that mails a link to anyone who asks.
        return f"{self._base_url}/preferences"

    def _delivery(self, claim: Claim, addressee: Addressee) -> OutgoingMail:
        return OutgoingMail(
            claim,
            self._editions[addressee.edition_id],
            addressee.address,
            addressee.created_at,
            addressee.name,
            {ReaderField.UNSUBSCRIBE: (addressee.public_id, None)},
        )

    def _load_editions(self, session: Session, ids: Collection[int]) -> None:
        missing = [edition_id for edition_id in ids if edition_id not in self._editions]
        for edition_id in missing:
            try:
                self._editions[edition_id] = self._load_edition(session, edition_id)
            except Exception as error:
                if not is_unreadable(error):
                    raise
                log.error("edition %d cannot be read: %s", edition_id, type(error).__name__)
                self._editions[edition_id] = UNREADABLE
        for edition_id in ids:
            self._editions.move_to_end(edition_id)
        while len(self._editions) > max(_EDITIONS_KEPT, len(ids)):
            self._editions.popitem(last=False)

    def _load_edition(self, session: Session, edition_id: int) -> CompiledContent:
        edition, newsletter, holds = session.execute(
            select(Edition, Newsletter, Schedule.holds)
            .join(Digest, Digest.id == Edition.digest_id)
            .join(Schedule, Schedule.id == Digest.schedule_id)
            .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
            .where(Edition.id == edition_id)
        ).one()
        return compile_content(
            edition,
            lambda: digest_headers(
                digest_id=edition.digest_id,
                slug=newsletter.slug,
                title=newsletter.title,
                list_id=newsletter.list_id,
                from_address=edition.from_address,
                help_url=f"{self._base_url}/preferences",
                automatic=holds is not Holds.NONE,
            ),
            self._options,
        )

    def _load_notices(
        self, session: Session, claims: Mapping[int, Claim]
    ) -> dict[Claim, OutgoingMail]:
        rows = session.execute(
            select(Notice, Newsletter, Signup, Subscriber, Subscription, Review)
            .outerjoin(Newsletter, Newsletter.id == Notice.newsletter_id)
            .outerjoin(Signup, Signup.id == Notice.signup_id)
            .outerjoin(Subscriber, Subscriber.id == Notice.subscriber_id)
            .outerjoin(
                Subscription,
                (Subscription.subscriber_id == Notice.subscriber_id)
                & (Subscription.newsletter_id == Notice.newsletter_id),
            )
            # Before there were copies to several addresses, only the review named its mail.
            .outerjoin(Review, or_(Review.id == Notice.review_id, Review.notice_id == Notice.id))
            .where(Notice.id.in_(claims))
        )
        mails: dict[Claim, OutgoingMail] = {}
        for notice, newsletter, signup, subscriber, subscription, review in rows:
            claim = claims[notice.id]
            title, list_id = (newsletter.title, newsletter.list_id) if newsletter else ("", None)
            headers = partial(notice_headers, title=title, list_id=list_id)
            links: dict[ReaderField, tuple[int, datetime | None]] = {}
            if signup is not None:
                links[ReaderField.CONFIRM] = (signup.public_id, signup.expires_at)
                links[ReaderField.NOTME] = (signup.public_id, signup.expires_at)
            if subscriber is not None:
                until = claim.first_attempt_at + PREFERENCES_LIFETIME
                links |= dict.fromkeys(_OF_SUBSCRIBER, (subscriber.public_id, until))
            if subscription is not None:
                links[ReaderField.UNSUBSCRIBE] = (subscription.public_id, None)
            if review is not None:
                links[ReaderField.STOP] = (review.link_id(ReviewAct.STOP), review.expires_at)
                links[ReaderField.SEND] = (review.link_id(ReviewAct.SEND), review.expires_at)
            # No name: anyone may have typed anything there, and this goes to that address.
            mails[claim] = OutgoingMail(
                claim,
                compile_content(notice, headers, self._options),
                notice.address,
                notice.created_at,
                links=links,
            )
        return mails

    def _load_readable_notices(
        self, session: Session, claims: Mapping[int, Claim]
    ) -> dict[Claim, OutgoingMail]:
        """Load these notices; one that cannot be read becomes a mail that cannot be composed."""
        try:
            return self._load_notices(session, claims)
        except Exception as error:
            if not is_unreadable(error):
                raise
            mails: dict[Claim, OutgoingMail] = {}
            for notice_id, claim in claims.items():
                if len(claims) > 1:
                    mails |= self._load_readable_notices(session, {notice_id: claim})
                else:
                    log.error("notice %d cannot be read: %s", notice_id, type(error).__name__)
                    mails[claim] = OutgoingMail(claim, UNREADABLE, "", claim.first_attempt_at)
            return mails


def greeting(templates: "Templates", language: str, name: str | None) -> str:
    """Return the greeting of a reader; empty for one without a name that a mail may show.

    Args:
        name: as they typed it, if they did; it may be from before names were checked.
    """
    shown = reader_name(name)
    if shown is None:
        return ""
    translate = templates.gettext(language)
    return translate("Hello %(name)s,", name=shown)
