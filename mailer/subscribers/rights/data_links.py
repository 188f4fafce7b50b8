"""Mails a reader the link under which they see or delete what is held about them.

Never shows or deletes anything itself: only who reads the reader's mail may do that.
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import parse, rate_key
from mailer.db import AdvisoryLock, take_lock
from mailer.models import NoticeKind, Subscriber, Subscription
from mailer.newsletters.offer import offers
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import Origin
from mailer.subscribers.signup import SignupContext
from mailer.subscribers.signup_limits import admit

KINDS: Final = {"data": NoticeKind.DATA, "erase": NoticeKind.ERASE}
"""What a reader may ask for, by the word in the form."""


def mail_data_link(
    session: Session, public_id: int, kind: NoticeKind, origin: Origin, context: SignupContext
) -> None:
    """Queue a mail with the link to the subscriber with this public id, unless they are erased.

    Asked for again within ten minutes, or too often a day, it is mailed once.

    Raises:
        TooManySignups: the client's network has reached its limit; nothing is written.
    """
    # First: nobody may be erased between here and the notice, which holds the address.
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    reader = session.execute(
        select(Subscriber).where(Subscriber.public_id == public_id, Subscriber.erased_at.is_(None))
    ).scalar_one_or_none()
    by_id = {offer.id: offer.look for offer in offers(session, context.publisher)}
    if reader is None or not by_id:
        return
    newsletter_id = session.scalar(
        select(Subscription.newsletter_id)
        .where(Subscription.subscriber_id == reader.id)
        .order_by(Subscription.left_at.is_not(None), Subscription.newsletter_id)
        .limit(1)
    )
    newsletter_id = next(iter(by_id)) if newsletter_id is None else newsletter_id
    counted_as = f"{kind} {rate_key(parse(reader.address))}"
    allowance = admit(session, origin, counted_as, context.limits)
    look = by_id[newsletter_id]
    language = reader.language or look.language
    queue_notice(
        session,
        kind=kind,
        address=reader.address,
        key_hash=reader.key_hash,
        content=render_notice(context.templates, kind, look, language, {}, context.random),
        now=origin.at,
        newsletter_id=newsletter_id,
        subscriber_id=reader.id,
        rate_key=counted_as,
        wanted=allowance.mail,
    )
