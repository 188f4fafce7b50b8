"""Renders and queues notices: mails to one person, about what that person did or must know.

A notice never repeats what the person who caused it typed, and holds no link, only a marker word for it.
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
    NoticeKind.ADDRESS_CHANGE: {
        "confirm_url": ReaderField.CONFIRM,
        "not_me_url": ReaderField.NOTME,
    },
    NoticeKind.ALREADY: {},
    NoticeKind.PREFERENCES: {"preferences_url": ReaderField.PREFERENCES},
    NoticeKind.DATA: {"data_url": ReaderField.DATA},
    NoticeKind.ERASE: {"erase_url": ReaderField.ERASE},
    NoticeKind.ALERT: {},
    NoticeKind.REPORT: {},
}
"""The links that each kind may hold. A test copy and a review are not here: they are rendered as digests."""


def render_notice(
    templates: "Templates",
    kind: NoticeKind,
    look: Look,
    language: str,
    context: Mapping[str, object],
    random: Callable[[int], bytes],
) -> Content:
    """Render a notice from the templates `mail/{kind}.subject.txt`, `.txt` and `.html`.

    Args:
        context: what this kind says, beside its links: for a confirmation and an address change `titles` and
            `expires_on` (the last day on which it can be confirmed), for `already` `titles` and
            `preferences_url`, for an alert and a report what `notices.alert` and
            `digests.staff_mail.report` read.
        random: returns that many random bytes.

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


def queue_notice(  # noqa: PLR0913 -- each argument is a column of the row that it inserts
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
    """Queue a notice, and return its id.

    Args:
        key_hash: of the address, to look up suppressions by.
        rate_key: what the limits on sign-ups count it under, if a sign-up caused it.
        not_before: when the limit on all sign-ups together lets it go out (UTC); None: at once.
        skip: why it is not sent at all. It is kept as skipped, so that the person who caused it cannot tell
            the difference.
        wanted: if False, the same statement runs and adds nothing, for the same reason; the id is None.
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
