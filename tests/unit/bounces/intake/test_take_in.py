from datetime import UTC, datetime

import pytest

from mailer.bounces.intake.take_in import as_evidence
from mailer.bounces.reading.returned import ReportedRecipient, ReturnedMail
from mailer.bounces.reasons import Reason
from mailer.models import EvidenceKind

AT = datetime(2026, 11, 28, 7, 30, tzinfo=UTC)
REFERENCES = ("d12." + "0" * 32,)


def returned(reason: Reason, *, unsubscribe: bool = False) -> ReturnedMail:
    recipient = ReportedRecipient("reader@example.com", "failed", "5.1.1", "550 gone", reason)
    return ReturnedMail(reason, (recipient,), REFERENCES, unsubscribe)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.USER_UNKNOWN, EvidenceKind.HARD),
        (Reason.MAILBOX_FULL, EvidenceKind.SOFT),
        (Reason.ABUSE, EvidenceKind.COMPLAINT),
    ],
)
def test_what_failed_is_evidence(reason: Reason, kind: EvidenceKind) -> None:
    evidence = as_evidence(returned(reason), source="pipe", at=AT)
    assert evidence is not None
    assert (evidence.references, evidence.kind, evidence.reason) == (REFERENCES, kind, reason)
    assert (evidence.status, evidence.diagnostic) == ("5.1.1", "550 gone")
    assert (evidence.source, evidence.at) == ("pipe", AT)


@pytest.mark.parametrize(
    "reason", [one for one in Reason if one.kind in ("autoreply", "none")], ids=str
)
def test_what_did_not_fail_is_no_evidence(reason: Reason) -> None:
    assert as_evidence(returned(reason), source="pipe", at=AT) is None


def test_a_mail_to_the_address_for_leaving_is_an_unsubscription() -> None:
    evidence = as_evidence(returned(Reason.ORDINARY, unsubscribe=True), source="pipe", at=AT)
    assert evidence is not None
    assert evidence.kind is EvidenceKind.UNSUBSCRIBE


def test_without_a_reference_there_is_no_evidence() -> None:
    assert as_evidence(ReturnedMail(Reason.USER_UNKNOWN), source="pipe", at=AT) is None


def test_of_several_recipients_the_gravest_is_told() -> None:
    full = ReportedRecipient("a@example.com", "failed", "5.2.2", "full", Reason.MAILBOX_FULL)
    gone = ReportedRecipient("b@example.com", "failed", "5.1.1", "gone", Reason.USER_UNKNOWN)
    mail = ReturnedMail(Reason.USER_UNKNOWN, (full, gone), REFERENCES)
    evidence = as_evidence(mail, source="pipe", at=AT)
    assert evidence is not None
    assert (evidence.status, evidence.diagnostic) == ("5.1.1", "gone")
