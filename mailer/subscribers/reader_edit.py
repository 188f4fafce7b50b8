"""Changes what is known of a reader: the name, the language, and the address once the new one confirms.

Never changes what the reader gets.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.db import AdvisoryLock, take_lock
from mailer.errors import NotFound, Refused
from mailer.models import Subscriber
from mailer.permission.consent import Origin
from mailer.subscribers.address_change import ask_new_address
from mailer.subscribers.signup import SignupContext
from mailer.text.reader_name import LONGEST, reader_name


@dataclass(frozen=True)
class ReaderEdit:
    """What to change of a reader; None leaves it, and an empty text deletes it.

    Attributes:
        language: one that has texts; the caller checks it.
        address: gets a mail, and replaces the present one when that is confirmed.
    """

    name: str | None = None
    language: str | None = None
    address: Address | None = None


@dataclass(frozen=True)
class EditedReader:
    """A reader after a change. `new_address` awaits confirmation."""

    address: str
    name: str | None
    language: str | None
    new_address: str | None


def edit_reader(
    session: Session, address: Address, edit: ReaderEdit, origin: Origin, context: SignupContext
) -> EditedReader:
    """Change a reader's name and language at once, and ask a new address for confirmation.

    Raises:
        NotFound: no reader has this address.
        Refused: the name cannot be shown in a mail, or the new address cannot be asked.
    """
    # First: nobody may be erased between here and what is written about them.
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    subscriber = session.scalar(select(Subscriber).where(Subscriber.address_key == address.key))
    if subscriber is None:
        raise NotFound(f"no reader has the address {address.typed}; see `mailer subscriber list`")
    if edit.name is not None:
        subscriber.name = _checked_name(edit.name)
    if edit.language is not None:
        subscriber.language = edit.language or None
    session.flush()
    if edit.address is not None:
        ask_new_address(session, subscriber, edit.address, origin, context)
    return EditedReader(
        subscriber.address,
        subscriber.name,
        subscriber.language,
        edit.address.typed if edit.address else None,
    )


def _checked_name(text: str) -> str | None:
    if not text.strip():
        return None
    name = reader_name(text)
    if name is None:
        raise Refused(
            f"{text[:LONGEST]!r} cannot stand in a mail as a name; write up to {LONGEST} letters, "
            "without digits and links"
        )
    return name
