"""Whose report it is: what Amazon and Mailgun sign, and everything that is not signed by them for us."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from mailer.bounces.providers import mailgun, sns
from mailer.bounces.providers.payload import NotAuthentic
from tests.support import provider_payloads as payloads
from tests.support.provider_payloads import CERTIFICATE_URL, TOPIC, Signer, amazon

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
KINDS = {
    "Notification": payloads.sns_notification("{}"),
    "with a subject": payloads.sns_notification("{}", Subject="Amazon SES Email Event"),
    "SubscriptionConfirmation": payloads.sns_confirmation(),
    "UnsubscribeConfirmation": payloads.sns_confirmation("UnsubscribeConfirmation"),
    "other letters": payloads.sns_notification("Grüße\n\r\n\t中 \u2028"),
}


@cache
def weak() -> Signer:
    return Signer(bits=1024)


def check(message: Any, certificate: bytes | None = None, now: datetime = NOW) -> None:
    read = sns.read_message(message, TOPIC)
    sns.verify(read, amazon().certificate if certificate is None else certificate, now=now)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("message", KINDS.values(), ids=KINDS)
def test_what_amazon_signed_is_taken(message: dict[str, Any], version: str) -> None:
    check(amazon().sign(message, version))


@pytest.mark.parametrize("message", KINDS.values(), ids=KINDS)
def test_every_part_that_is_signed_counts(message: dict[str, Any]) -> None:
    signed = amazon().sign(message)
    for name in payloads.SIGNED[message["Type"]]:
        if name in signed and name not in ("Type", "TopicArn"):
            with pytest.raises(NotAuthentic):
                check({**signed, name: f"{signed[name]}x"})
    if message["Type"] == "Notification":
        with pytest.raises(NotAuthentic):
            check({**signed, "Subject": "another"})


def test_a_message_of_one_kind_is_none_of_another() -> None:
    signed = amazon().sign(payloads.sns_confirmation("UnsubscribeConfirmation"))
    with pytest.raises(NotAuthentic, match="wrong"):
        check({**signed, "Type": "SubscriptionConfirmation"})


@pytest.mark.parametrize(
    "change",
    [
        {"TopicArn": TOPIC + "2"},
        {"TopicArn": None},
        {"Type": "Notifications"},
        {"Type": ["Notification"]},
        {"Signature": None},
        {"Signature": "not base64!"},
        {"Signature": "é"},
        {"Signature": ""},
        {"SignatureVersion": "3"},
        {"SignatureVersion": 1},
        {"Message": None},
        {"MessageId": 7},
        {"Timestamp": None},
        {"SigningCertURL": None},
    ],
)
def test_another_topic_or_form_is_refused(change: dict[str, Any]) -> None:
    signed = amazon().sign(payloads.sns_notification("{}"))
    with pytest.raises(NotAuthentic):
        check({**signed, **change})


def test_raw_delivery_is_not_signed_and_refused_with_the_way_out() -> None:
    with pytest.raises(NotAuthentic, match="raw message delivery"):
        check(payloads.ses_bounce("d1." + "a" * 32))


BAD_URLS = [
    "http://sns.eu-central-1.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem",
    "https://evil.example/sns.eu-central-1.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com@evil.example/x.pem",
    "https://user@sns.eu-central-1.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com:8443/x.pem",
    "https://sns.eu-central-1.amazonaws.com\\@evil.example/x.pem",
    "https://sns.eu-central-1.amazonaws.com?x=.pem",
    "https://sns.s3.amazonaws.com/x.pem",
    "https://sns.s3-eu-central-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com/a b.pem",
    "https://sns.eu-central-1.amazonaws.com/\n.pem",
    "https://sns.eu-central-1.amazonaws.com/é.pem",
    "https://SNS.eu-central-1.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com/" + "x" * 3000 + ".pem",
    "https://169.254.169.254/x.pem",
    "//sns.eu-central-1.amazonaws.com/x.pem",
    "file:///etc/passwd.pem",
    "",
]


@pytest.mark.parametrize("url", [*BAD_URLS, CERTIFICATE_URL + "?", CERTIFICATE_URL[:-4]])
def test_a_certificate_comes_from_amazon_alone(url: str) -> None:
    signed = amazon().sign(payloads.sns_notification("{}", SigningCertURL=url))
    with pytest.raises(NotAuthentic, match="certificate is not at the host"):
        sns.read_message(signed, TOPIC)


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_subscription_is_confirmed_at_amazon_alone(url: str) -> None:
    signed = amazon().sign(payloads.sns_confirmation(SubscribeURL=url))
    with pytest.raises(NotAuthentic, match="SubscribeURL"):
        sns.read_message(signed, TOPIC)


@pytest.mark.parametrize(
    ("topic", "host"),
    [
        (TOPIC, "sns.eu-central-1.amazonaws.com"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:b", "sns.us-gov-west-1.amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:b", "sns.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_host_is_that_of_the_topics_region(topic: str, host: str) -> None:
    assert sns.is_amazon_url(f"https://{host}/a.pem", topic)
    assert not sns.is_amazon_url(f"https://{host}.example/a.pem", topic)


def test_another_key_is_refused() -> None:
    stranger = Signer()
    signed = stranger.sign(payloads.sns_notification("{}"))
    check(signed, stranger.certificate)
    with pytest.raises(NotAuthentic, match="signature is wrong"):
        check(signed)


@pytest.mark.parametrize("certificate", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_broken_certificate_is_refused(certificate: bytes) -> None:
    with pytest.raises(NotAuthentic, match="cannot be read"):
        check(amazon().sign(payloads.sns_notification("{}")), certificate)


@pytest.mark.parametrize("days", [-181, 186])
def test_a_certificate_out_of_its_time_is_refused(days: int) -> None:
    with pytest.raises(NotAuthentic, match="not valid now"):
        check(amazon().sign(payloads.sns_notification("{}")), now=NOW + timedelta(days=days))


def test_a_short_key_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="2048"):
        check(weak().sign(payloads.sns_notification("{}")), weak().certificate)


def test_half_of_a_surrogate_pair_is_no_error() -> None:
    signed = amazon().sign(payloads.sns_notification("?"))
    with pytest.raises(NotAuthentic, match=r"missing|wrong"):
        check({**signed, "MessageId": "\ud800"})


GOOD = payloads.mailgun("d1." + "a" * 32)


@pytest.mark.parametrize("age", [timedelta(), timedelta(hours=8), -timedelta(minutes=10)])
def test_what_mailgun_signed_is_taken(age: timedelta) -> None:
    mailgun.check_signature(GOOD, payloads.MAILGUN_KEY, now=NOW + age)


@pytest.mark.parametrize("age", [timedelta(hours=12, seconds=1), -timedelta(minutes=16)])
def test_an_old_signature_of_mailgun_is_refused(age: timedelta) -> None:
    with pytest.raises(NotAuthentic, match="too old"):
        mailgun.check_signature(GOOD, payloads.MAILGUN_KEY, now=NOW + age)


@pytest.mark.parametrize(
    "change",
    [
        {"signature": GOOD["signature"]["signature"][:-1] + "x"},
        {"signature": GOOD["signature"]["signature"].upper()},
        {"signature": "é"},
        {"signature": "\ud800"},
        {"signature": None},
        {"token": "b"},
        {"token": ""},
        {"token": "a" * 300},
        {"token": "\ud800"},
        {"timestamp": "1"},
        {"timestamp": 1795500000},
        {"timestamp": "9" * 5000},
        {"timestamp": "٣"},
        {"timestamp": "-5"},
    ],
)
def test_a_wrong_signature_of_mailgun_is_refused(change: dict[str, Any]) -> None:
    payload = {**GOOD, "signature": {**GOOD["signature"], **change}}
    with pytest.raises(NotAuthentic):
        mailgun.check_signature(payload, payloads.MAILGUN_KEY, now=NOW)


@pytest.mark.parametrize("payload", [{}, {"signature": "x"}, {"signature": [1]}, [], None, 7])
def test_what_mailgun_did_not_sign_is_refused(payload: object) -> None:
    with pytest.raises(NotAuthentic, match="no signature"):
        mailgun.check_signature(payload, payloads.MAILGUN_KEY, now=NOW)


def test_another_key_of_mailgun_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="wrong"):
        mailgun.check_signature(GOOD, "f" * 32, now=NOW)
