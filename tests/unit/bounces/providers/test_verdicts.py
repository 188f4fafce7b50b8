"""What each event of each provider means: every type that the providers' pages name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailer.bounces.evidence import EvidenceKind
from mailer.bounces.providers import brevo, mailgun, postmark, ses
from mailer.bounces.providers.provider_event import ProviderEvent
from mailer.bounces.reasons import AGAINST_READER, BounceKind, Reason
from tests.support import provider_payloads as payloads

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
REF = "d12." + "a" * 32

HARD, SOFT = EvidenceKind.HARD, EvidenceKind.SOFT
COMPLAINT, UNSUBSCRIBE = EvidenceKind.COMPLAINT, EvidenceKind.UNSUBSCRIBE

Meant = tuple[EvidenceKind, Reason] | None
"""None: nothing is recorded."""

LEFT = (UNSUBSCRIBE, Reason.OPT_OUT)
DSN = {"action": "failed"}


def meant(event: ProviderEvent) -> Meant:
    if not event.evidence:
        return None
    (one,) = event.evidence
    assert one.references == (REF,)
    assert one.at == NOW
    return one.kind, one.reason


SES: list[tuple[Any, Meant]] = [
    (payloads.ses_bounce(REF, "Permanent", "General"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.ses_bounce(REF, "Permanent", "NoEmail"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.ses_bounce(REF, "Permanent", "Suppressed"), (HARD, Reason.USER_UNKNOWN)),
    (
        payloads.ses_bounce(REF, "Permanent", "OnAccountSuppressionList"),
        (HARD, Reason.NOT_ACCEPTING),
    ),
    (
        payloads.ses_bounce(REF, "Permanent", "OnTenantSuppressionList"),
        (HARD, Reason.NOT_ACCEPTING),
    ),
    (payloads.ses_bounce(REF, "Permanent", "EmailValidationSuppressed"), (SOFT, Reason.OTHER)),
    (payloads.ses_bounce(REF, "Permanent", "UnsubscribedRecipient"), LEFT),
    (payloads.ses_bounce(REF, "Undetermined", "Undetermined"), (SOFT, Reason.OTHER)),
    # An automatic reply comes like this, without the fields of a DSN.
    (payloads.ses_bounce(REF, "Transient", "General"), None),
    (
        payloads.ses_bounce(REF, "Transient", "General", **DSN, status="4.3.2"),
        (SOFT, Reason.SYSTEM),
    ),
    (payloads.ses_bounce(REF, "Transient", "MailboxFull"), (SOFT, Reason.MAILBOX_FULL)),
    (payloads.ses_bounce(REF, "Transient", "MessageTooLarge"), (SOFT, Reason.SIZE)),
    (payloads.ses_bounce(REF, "Transient", "CustomTimeoutExceeded"), (SOFT, Reason.EXPIRED)),
    (payloads.ses_bounce(REF, "Transient", "ContentRejected"), (SOFT, Reason.POLICY)),
    (payloads.ses_bounce(REF, "Transient", "AttachmentRejected"), (SOFT, Reason.CONTENT)),
    # The status that the receiving host gave says more than the type.
    (
        payloads.ses_bounce(REF, "Permanent", "General", **DSN, status="5.7.1"),
        (SOFT, Reason.POLICY),
    ),
    (
        payloads.ses_bounce(REF, "Permanent", "General", diagnosticCode="smtp; 550 5.7.26 DMARC"),
        (SOFT, Reason.AUTHENTICATION),
    ),
    (
        payloads.ses_bounce(REF, "Permanent", "General", **DSN, status="5.2.2"),
        (SOFT, Reason.MAILBOX_FULL),
    ),
    (
        payloads.ses_bounce(REF, "Permanent", "General", **DSN, status="5.1.2"),
        (HARD, Reason.HOST_UNKNOWN),
    ),
    (
        payloads.ses_bounce(REF, "Permanent", "General", **DSN, status="5.0.0"),
        (HARD, Reason.USER_UNKNOWN),
    ),
    (
        payloads.ses_bounce(REF, "Undetermined", "Undetermined", **DSN, status="5.1.1"),
        (HARD, Reason.USER_UNKNOWN),
    ),
    (payloads.ses_bounce(REF, action="delayed", status="4.4.1"), None),
    (payloads.ses_bounce(REF, name="eventType"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.ses_complaint(REF), (COMPLAINT, Reason.ABUSE)),
    (payloads.ses_complaint(REF, complaintFeedbackType=None), (COMPLAINT, Reason.ABUSE)),
    (payloads.ses_complaint(REF, complaintFeedbackType="fraud"), (COMPLAINT, Reason.FRAUD)),
    (payloads.ses_complaint(REF, complaintFeedbackType="virus"), (COMPLAINT, Reason.VIRUS_REPORT)),
    (
        payloads.ses_complaint(REF, complaintFeedbackType="other"),
        (COMPLAINT, Reason.OTHER_COMPLAINT),
    ),
    (payloads.ses_complaint(REF, complaintFeedbackType="not-spam"), None),
    (payloads.ses_complaint(REF, complaintFeedbackType="auth-failure"), None),
    (
        payloads.ses_complaint(REF, complaintSubType="OnAccountSuppressionList"),
        (COMPLAINT, Reason.ABUSE),
    ),
    (
        {
            "eventType": "Reject",
            "reject": {"reason": "Bad content"},
            "mail": payloads.ses_mail(REF),
        },
        (SOFT, Reason.VIRUS),
    ),
    (
        {
            "eventType": "Subscription",
            "subscription": {"newTopicPreferences": {"unsubscribeAll": True}},
            "mail": payloads.ses_mail(REF),
        },
        LEFT,
    ),
    *(
        ({"eventType": name, "mail": payloads.ses_mail(REF)}, None)
        for name in (
            *("Delivery", "Send", "Open", "Click", "Rendering Failure", "DeliveryDelay"),
            *("Subscription", "AmazonSnsSubscriptionSucceeded"),
        )
    ),
]

MAILGUN: list[tuple[Any, Meant]] = [
    (payloads.mailgun_failed(REF), (HARD, Reason.USER_UNKNOWN)),
    (
        payloads.mailgun_failed(REF, message="550 5.7.1 blocked by policy of 192.0.2.7"),
        (SOFT, Reason.BLOCKED),
    ),
    (
        payloads.mailgun_failed(REF, **{"enhanced-code": "5.2.2", "message": "over quota"}),
        (SOFT, Reason.MAILBOX_FULL),
    ),
    (payloads.mailgun_failed(REF, reason="delayed-bounce"), (HARD, Reason.USER_UNKNOWN)),
    (
        payloads.mailgun_failed(
            REF, reason="suppress-bounce", code=605, message="Not delivering to it"
        ),
        (HARD, Reason.NOT_ACCEPTING),
    ),
    (payloads.mailgun_failed(REF, reason="suppress-complaint"), (COMPLAINT, Reason.ABUSE)),
    (payloads.mailgun_failed(REF, reason="suppress-unsubscribe"), LEFT),
    (payloads.mailgun_failed(REF, reason="old", code=602), (SOFT, Reason.EXPIRED)),
    (payloads.mailgun_failed(REF, "temporary", "old"), (SOFT, Reason.EXPIRED)),
    (payloads.mailgun_failed(REF, reason="espblock"), (SOFT, Reason.BLOCKED)),
    (payloads.mailgun_failed(REF, reason="generic"), (SOFT, Reason.OTHER)),
    (
        payloads.mailgun_failed(REF, reason="generic", message="550 5.1.1 no such user"),
        (HARD, Reason.USER_UNKNOWN),
    ),
    *(
        (payloads.mailgun_failed(REF, "temporary", reason), None)
        for reason in ("generic", "espblock", "greylisted", "bounce")
    ),
    (payloads.mailgun(REF, "complained"), (COMPLAINT, Reason.ABUSE)),
    (payloads.mailgun(REF, "unsubscribed"), LEFT),
    (payloads.mailgun(REF, "rejected", reject={"reason": "no"}), (SOFT, Reason.POLICY)),
    *(
        (payloads.mailgun(REF, name), None)
        for name in ("accepted", "delivered", "opened", "clicked", "stored")
    ),
]

POSTMARK: list[tuple[Any, Meant]] = [
    (payloads.postmark_bounce(REF, "HardBounce"), (HARD, Reason.USER_UNKNOWN)),
    (
        payloads.postmark_bounce(REF, "HardBounce") | {"Details": "smtp;554 5.7.1 spam"},
        (SOFT, Reason.SPAM),
    ),
    (payloads.postmark_bounce(REF, "BadEmailAddress"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.postmark_bounce(REF, "SoftBounce"), (SOFT, Reason.OTHER)),
    (
        payloads.postmark_bounce(REF, "SoftBounce") | {"Details": "smtp;552 5.2.2 full"},
        (SOFT, Reason.MAILBOX_FULL),
    ),
    (payloads.postmark_bounce(REF, "Unknown"), (SOFT, Reason.OTHER)),
    (payloads.postmark_bounce(REF, "DnsError"), (SOFT, Reason.SYSTEM)),
    (payloads.postmark_bounce(REF, "SpamNotification"), (SOFT, Reason.SPAM)),
    (payloads.postmark_bounce(REF, "VirusNotification"), (SOFT, Reason.VIRUS)),
    (payloads.postmark_bounce(REF, "Blocked"), (SOFT, Reason.BLOCKED)),
    (payloads.postmark_bounce(REF, "DMARCPolicy"), (SOFT, Reason.AUTHENTICATION)),
    *(
        (payloads.postmark_bounce(REF, kind), (SOFT, Reason.POLICY))
        for kind in (
            *("ManuallyDeactivated", "Unconfirmed", "SMTPApiError", "TemplateRenderingFailed"),
        )
    ),
    (payloads.postmark_bounce(REF, "SpamComplaint"), (COMPLAINT, Reason.ABUSE)),
    (
        payloads.postmark_bounce(REF, "SpamComplaint") | {"RecordType": "SpamComplaint"},
        (COMPLAINT, Reason.ABUSE),
    ),
    (payloads.postmark(REF, "SpamComplaint", Email=payloads.READER), (COMPLAINT, Reason.ABUSE)),
    (payloads.postmark_bounce(REF, "Unsubscribe"), LEFT),
    *(
        (payloads.postmark_bounce(REF, kind), None)
        for kind in (
            *("Transient", "AutoResponder", "AddressChange", "ChallengeVerification"),
            *("Subscribe", "OpenRelayTest", "InboundError"),
        )
    ),
    (payloads.postmark_suppression(REF, "HardBounce"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.postmark_suppression(REF, "SpamComplaint"), (COMPLAINT, Reason.ABUSE)),
    (payloads.postmark_suppression(REF, "ManualSuppression"), LEFT),
    (payloads.postmark_suppression(REF, "ManualSuppression", "Customer"), None),
    (payloads.postmark_suppression(REF, "ManualSuppression", "Admin"), None),
    (payloads.postmark_suppression(REF, None, suppress=False), None),
    *((payloads.postmark(REF, name), None) for name in ("Delivery", "Open", "Click")),
]

BREVO: list[tuple[Any, Meant]] = [
    (payloads.brevo(REF, "hard_bounce"), (HARD, Reason.USER_UNKNOWN)),
    (
        payloads.brevo(REF, "hard_bounce", reason="554 5.7.1 rejected by a rule"),
        (SOFT, Reason.POLICY),
    ),
    (payloads.brevo(REF, "invalid_email"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.brevo(REF, "soft_bounce"), (SOFT, Reason.OTHER)),
    (
        payloads.brevo(REF, "soft_bounce", reason="452 4.2.2 mailbox full"),
        (SOFT, Reason.MAILBOX_FULL),
    ),
    # A soft verdict stays soft.
    (payloads.brevo(REF, "soft_bounce", reason="550 5.1.1 no such user"), (SOFT, Reason.OTHER)),
    # What is said decides where there is no status.
    (
        payloads.brevo(REF, "hard_bounce", reason="550 blocked by our spam filter"),
        (SOFT, Reason.SPAM),
    ),
    (payloads.brevo(REF, "hard_bounce", reason="550 Mailbox is full"), (SOFT, Reason.MAILBOX_FULL)),
    (payloads.brevo(REF, "hard_bounce", reason="550 refused"), (HARD, Reason.USER_UNKNOWN)),
    (payloads.brevo(REF, "blocked"), (SOFT, Reason.BLOCKED)),
    (payloads.brevo(REF, "error"), (SOFT, Reason.SYSTEM)),
    (payloads.brevo(REF, "spam"), (COMPLAINT, Reason.ABUSE)),
    (payloads.brevo(REF, "unsubscribed"), LEFT),
    (payloads.brevo(REF, "unsubscribe"), LEFT),
    *(
        (payloads.brevo(REF, name), None)
        for name in (
            *("deferred", "request", "sent", "delivered", "opened", "unique_opened", "click"),
            *("proxy_open", "unique_proxy_open"),
        )
    ),
]


@pytest.mark.parametrize(("payload", "means"), SES)
def test_an_event_of_ses(payload: Any, means: Meant) -> None:
    event = ses.read_event(payload, now=NOW)
    assert event.is_known
    assert meant(event) == means


@pytest.mark.parametrize(("payload", "means"), MAILGUN)
def test_an_event_of_mailgun(payload: Any, means: Meant) -> None:
    event = mailgun.read_event(payload, now=NOW)
    assert event.is_known
    assert meant(event) == means


@pytest.mark.parametrize(("payload", "means"), POSTMARK)
def test_an_event_of_postmark(payload: Any, means: Meant) -> None:
    event = postmark.read_event(payload, now=NOW)
    assert event.is_known
    assert meant(event) == means


@pytest.mark.parametrize(("payload", "means"), BREVO)
def test_an_event_of_brevo(payload: Any, means: Meant) -> None:
    event = brevo.read_event(payload, now=NOW)
    assert event.is_known
    assert meant(event) == means


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (ses.read_event({"eventType": "Telepathy"}, now=NOW), "Telepathy"),
        (
            ses.read_event(payloads.ses_bounce(REF, "Odd", "Kind"), now=NOW),
            "Bounce Odd Kind",
        ),
        (mailgun.read_event(payloads.mailgun(REF, "telepathy"), now=NOW), "telepathy"),
        (postmark.read_event(payloads.postmark(REF, "Telepathy"), now=NOW), "Telepathy"),
        (postmark.read_event(payloads.postmark_bounce(REF, "Odd"), now=NOW), "Bounce Odd"),
        (
            postmark.read_event(payloads.postmark_suppression(REF, "Odd"), now=NOW),
            "SubscriptionChange Odd",
        ),
        (brevo.read_event(payloads.brevo(REF, "telepathy"), now=NOW), "telepathy"),
        (brevo.read_event(payloads.brevo(REF, "a@b.example"), now=NOW), "(an address)"),
        (brevo.read_event([], now=NOW), "(none)"),
    ],
)
def test_an_event_that_is_not_known_has_a_name_for_the_log_and_no_effect(
    event: ProviderEvent, name: str
) -> None:
    assert (event.name, event.is_known, event.evidence) == (name, False, ())


def test_a_failure_for_a_reason_that_is_not_known_is_soft_and_told() -> None:
    for event in (
        ses.read_event(payloads.ses_bounce(REF, "Permanent", "Odd"), now=NOW),
        mailgun.read_event(payloads.mailgun_failed(REF, reason="odd"), now=NOW),
    ):
        assert not event.is_known
        assert meant(event) == (SOFT, Reason.OTHER)


def test_no_provider_makes_a_hard_bounce_of_a_refusal_for_policy() -> None:
    table = {**ses.BOUNCES, **mailgun.PERMANENT, **postmark.BOUNCES, **brevo.REASONS}
    for name, reason in table.items():
        if reason in (Reason.POLICY, Reason.BLOCKED, Reason.SPAM, Reason.AUTHENTICATION):
            assert reason.kind is BounceKind.SOFT, name
            assert reason not in AGAINST_READER, name


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        # Without our own header, the Message-ID that we wrote counts.
        (
            payloads.ses_bounce(REF)
            | {
                "mail": payloads.ses_mail(
                    REF, headers=[{"name": "Message-ID", "value": f"<{REF}@news.example>"}]
                )
            },
            ses.read_event,
        ),
        (
            payloads.ses_bounce(REF)
            | {
                "mail": payloads.ses_mail(
                    REF, headers=None, commonHeaders={"messageId": f" <{REF}@news.example>"}
                )
            },
            ses.read_event,
        ),
        (
            payloads.mailgun(
                "x",
                "complained",
                message={"headers": {"message-id": f"{REF}@news.example"}},
            ),
            mailgun.read_event,
        ),
        (payloads.brevo(REF, **{"X-Mailin-custom": f"a:b| reference:{REF} |c"}), brevo.read_event),
        (payloads.brevo(REF.upper()), brevo.read_event),
    ],
)
def test_the_mail_is_named_in_another_way(payload: Any, read: Any) -> None:
    (one,) = read(payload, now=NOW).evidence
    assert one.references == (REF,)


def test_our_own_header_is_trusted_before_the_message_id() -> None:
    other = "d13." + "b" * 32
    payload = payloads.ses_bounce(REF)
    payload["mail"]["headers"].insert(0, {"name": "message-id", "value": f"<{other}@x.example>"})
    (one,) = ses.read_event(payload, now=NOW).evidence
    assert one.references == (REF, other)


def test_what_was_said_is_kept() -> None:
    payload = payloads.ses_bounce(
        REF, **DSN, status="5.1.1", diagnosticCode="smtp; 550 5.1.1 <reader@example.com> unknown"
    )
    (one,) = ses.read_event(payload, now=NOW).evidence
    assert (one.status, one.source) == ("5.1.1", "ses")
    assert one.diagnostic == "smtp; 550 5.1.1 <reader@example.com> unknown"
