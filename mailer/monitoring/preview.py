"""Makes a coming digest as a reader would see it: its content, its pages and its mail. Writes nothing."""

import html as markup
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.address import Address, parse
from mailer.digests.build.editions import Render, render_cohort
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import plan as planning
from mailer.errors import Refused
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.dkim import DkimSigner
from mailer.message.header_lines import wire_address
from mailer.message.headers import digest_headers, reader_headers
from mailer.message.options.mail_options import MailOptions
from mailer.message.reader_fields import ReaderField, split_text
from mailer.models import Holds, Newsletter, Schedule
from mailer.monitoring.digest_reference import DigestTarget
from mailer.monitoring.reader_explanation import explain_reader
from mailer.tokens import Keys, message_id


@dataclass(frozen=True)
class Preview:
    """The content that most readers would get, or that one reader would.

    Attributes:
        why_nobody: why no reader at all would get it as things stand; None if some would.
        readers: how many would get a digest at that slot.
    """

    content: Content
    why_nobody: str | None
    readers: int


def read_preview(
    session: Session,
    target: DigestTarget,
    reader: Address | None,
    *,
    keys: Keys,
    render: Render,
    now: datetime,
) -> Preview | None:
    """Render the edition that most readers, or this one, would get; None if there is nothing to show.

    If no reader is due, it is what a reader would get who has had nothing yet.

    Raises:
        NotFound: no subscriber has the reader's address.
        Refused: this reader would get nothing.
        BadMessage: no mail can be made of it.
        BadTemplate: a template cannot be rendered.
    """
    plan = planning.plan_digest(session, target.schedule, target.slot)
    if reader is None:
        sampled = planning.sample(session, target.schedule, plan)
        if sampled is None:
            return None
        cohort, articles = sampled
    else:
        explanation = explain_reader(session, keys, target, plan, reader, now=now)
        if explanation.cohort is None:
            raise Refused(f"this reader would get nothing: {reader.typed} {explanation.words}")
        cohort, articles = explanation.cohort, plan.articles
    _, content = render_cohort(plan, target.newsletter, render, cohort, articles)
    return Preview(content, plan.reason, plan.reader_count)


def check_coming_mail(
    session: Session,
    newsletter: Newsletter,
    schedule: Schedule,
    *,
    keys: Keys,
    render: Render,
    now: datetime,
) -> None:
    """Make the schedule's next mail, so that what cannot be sent is refused now and not at the slot.

    Raises:
        BadMessage: no mail can be made of it.
        BadTemplate: a template cannot be rendered.
    """
    slot = slot_lookup.next_free_slot(session, schedule, now=now)
    if slot is not None:
        target = DigestTarget(newsletter, schedule, slot)
        read_preview(session, target, None, keys=keys, render=render, now=now)


def fill(content: Content, fields: Mapping[ReaderField, str]) -> tuple[str, str]:
    """Put a reader's fields into a content.

    Returns:
        Its text and its HTML.
    """
    escaped = {name: markup.escape(value) for name, value in fields.items()}
    return (
        split_text(content.text, content.marker).fill(fields),
        split_text(content.html, content.marker).fill(escaped),
    )


def make_mail(
    target: DigestTarget,
    content: Content,
    to: str,
    fields: Mapping[ReaderField, str],
    *,
    keys: Keys,
    options: MailOptions,
    dkim_signer: DkimSigner | None,
    now: datetime,
) -> bytes:
    """Make the mail as it would go over the wire, with the number 0, which no digest has.

    Raises:
        BadMessage: no mail can be made of it.
    """
    newsletter = target.newsletter
    headers = digest_headers(
        digest_id=0,
        slug=newsletter.slug,
        title=newsletter.title,
        list_id=newsletter.list_id,
        from_address=content.from_address,
        help_url=fields[ReaderField.PREFERENCES],
        automatic=target.schedule.holds is not Holds.NONE,
    )
    domain = parse(content.from_address).domain
    reference = keys.reference("delivery", 0, now)
    bounces = options.bounce_address
    mail = compile_mail(content, [*headers, *options.extra_headers]).render(
        to=wire_address(to, utf8=True),
        message_id=message_id(reference, domain),
        date=now,
        headers=options.reference_lines.write(reference)
        + reader_headers(
            delivery_id=0,
            unsubscribe_url=fields[ReaderField.UNSUBSCRIBE],
            mailto=bounces.unsubscribe_url(reference) if bounces else None,
        ),
        fields=fields,
    )
    return mail if dkim_signer is None else dkim_signer.sign(mail, at=now)
