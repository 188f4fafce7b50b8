"""Reads why staff suppress addresses. Never changes anything."""

from typing import Final

import click

from mailer.errors import Refused
from mailer.models import SuppressionReason

_KNOWN: Final = ("bounced", "complained", "staff")

reason_option: Final = click.option(
    "--reason",
    metavar="R",
    required=True,
    help="bounced, complained, or a note of your own.",
)
"""Gives a command the parameter `reason`, for `read_reason`."""


def read_reason(text: str) -> tuple[SuppressionReason, str | None]:
    """Return the reason, and the note if it is one.

    Raises:
        Refused: it is empty.
    """
    if not text.strip():
        raise Refused('give a --reason, such as "asked by phone"')
    if text in _KNOWN:
        return SuppressionReason(text), None
    return SuppressionReason.STAFF, text.strip()
