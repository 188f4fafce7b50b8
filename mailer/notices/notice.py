"""Notices: mails to one person, about what that person did or must know. Renders one, and queues one.

A notice says nothing that whoever caused it typed, and holds no link, only the words that stand for one.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from mailer.db import insert_if
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField, SendTimeWord, field_word, new_marker
from mailer.models import DeliveryStatus, Notice, NoticeKind

if TYPE_CHECKING:
    from mailer.templating.templates import Templates

_LINKS: Final[Mapping[NoticeKind, Mapping[str, ReaderField]]] = {
    NoticeKind.CONFIRMATION: {
        "confirm_url": ReaderField.CONFIRM,
        "not_me_url": ReaderField.NOTME,
    },
    NoticeKind.ALREADY: {},
    NoticeKind.PREFERENCES: {"preferences_url": ReaderField.PREFERENCES},
    NoticeKind.ALERT: {},
    NoticeKind.REPORT: {},
}
"""The links that each kind may hold. A test copy and a review have no template of their own alone: they are
digests."""


def render_notice(
    templates: "Templates",
    kind: NoticeKind,
    look: Look,
    language: str,
    context: Mapping[str, object],
    random: Callable[[int], bytes],
) -> Content:
    """The content of a notice, from the templates `mail/{kind}.subject`, `.txt` and `.html`.

    Args:
        context: what this kind tells, beside its links. For a confirmation `titles`, those of the
            newsletters that were asked for, and `expires_on`, the last day on which it can be
            confirmed; for `already` `titles` and `preferences_url`; for a preferences link nothing; for an
            alert what `mailer.notices.alert` found, for a report what `mailer.digests.staff_mail.report` did.
        random: gives that many random bytes.

    Raises:
        BadTemplate: a template cannot be rendered.
    """
    marker = new_marker(random)
    fields: dict[str, object] = {
        "look": look,
        **context,
        **{name: SendTimeWord(field_word(marker, link)) for name, link in _LINKS[kind].items()},
    }
    subject = " ".join(templates.render(f"mail/{kind}.subject.txt", language, fields).split())
    fields["subject"] = subject
    return Content(
        language=language,
        from_name=look.from_name,
        from_address=look.from_address,
        reply_to=look.reply_to,
        subject=subject,
        html=templates.render(f"mail/{kind}.html", language, fields),
        text=templates.render(f"mail/{kind}.txt", language, fields),
        marker=marker,
    )


def queue_notice(
    session: Session,
    *,
    kind: NoticeKind,
    address: str,
    key_hash: str,
    content: Content,
    now: datetime,
    newsletter_id: int | None = None,
    signup_id: int | None = None,
    subscriber_id: int | None = None,
    rate_key: str | None = None,
    not_before: datetime | None = None,
    skip: str | None = None,
    wanted: bool = True,
) -> int | None:
    """Add a notice to what waits to be sent.

    Args:
        key_hash: of the address, to look up suppressions by.
        rate_key: what the limits on sign-ups count it under, where a sign-up caused it.
        not_before: when the limit on all sign-ups together lets it go out (UTC); None is at once.
        skip: why it is not to be sent at all: it is kept as skipped, so that whoever caused it cannot
            tell the difference.
        wanted: if not, the same statement runs and adds nothing, for the same reason.

    Returns:
        Its id; None if it was not wanted.
    """
    values: dict[str, object] = {
        "status": DeliveryStatus.QUEUED if skip is None else DeliveryStatus.SKIPPED,
        "reply": skip,
        "outcome_at": None if skip is None else now,
        "kind": kind,
        "address": address,
        "key_hash": key_hash,
        "newsletter_id": newsletter_id,
        "signup_id": signup_id,
        "subscriber_id": subscriber_id,
        "rate_key": rate_key,
        "not_before": not_before,
        **asdict(content),
        "next_attempt_at": not_before or now,
        "created_at": now,
    }
    return insert_if(session, Notice, values, wanted=wanted)
