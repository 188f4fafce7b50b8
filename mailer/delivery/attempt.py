"""What an attempt comes to: a verdict on one claimed row becomes what the ledger enters.

Pure. When a row is tried again is known already; nothing here draws a wait or reads a clock.
"""

from datetime import datetime

from mailer.delivery.change import Claim, Outcome
from mailer.delivery.outcome import OnDelivery, Verdict, kept
from mailer.models import DeliveryStatus


def concluded(
    claim: Claim,
    found: Verdict,
    step: str,
    code: int | None,
    text: str,
    *,
    now: datetime,
    later: datetime | None,
    resend: bool,
) -> Outcome:
    """The entry for an attempt.

    Args:
        text: the relay's words or ours; addresses are taken out of it.
        later: when the plan has this row tried again; None: it is given up.
        resend: whether a mail in doubt is sent once more.
    """
    status, again = DeliveryStatus.FAILED, None
    match found.delivery:
        case OnDelivery.SENT:
            status = DeliveryStatus.SENT
        case OnDelivery.RELEASE:
            status, again = DeliveryStatus.DEFERRED, now
        case OnDelivery.DEFER if later is not None:
            status, again = DeliveryStatus.DEFERRED, later
        case OnDelivery.DOUBT:
            status, again = DeliveryStatus.UNKNOWN, later if resend else None
    attempt = claim.attempts + 1
    return Outcome(claim.row, claim.worker_id, attempt, status, step, code, kept(text), again)
