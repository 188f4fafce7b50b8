"""Finds the newsletters whose mails the app does not sign, because another domain sends them. Only reads."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.message.dkim import is_covered
from mailer.models import Newsletter


def uncovered_newsletters(session: Session, domain: str) -> list[tuple[str, str]]:
    """List slug and From address of the newsletters that are neither of `domain` nor below it.

    Args:
        domain: that signs, as A-labels in lower case.

    Raises:
        BadMessage: a From address is not valid.
    """
    rows = session.execute(
        select(Newsletter.slug, Newsletter.from_address).order_by(Newsletter.slug)
    )
    return [
        (slug, from_address) for slug, from_address in rows if not is_covered(from_address, domain)
    ]
