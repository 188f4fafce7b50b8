"""An operator may add headers, but none that a mail of ours has already or must not have."""

import pytest

from mailer.errors import BadMessage
from mailer.lint.parse import parse_mail
from mailer.message.options.extra_headers import check_extra_headers
from mailer.message.provider_reference import REFERENCE_HEADERS
from tests.support.sample_mails import digest_mail, edition, notice_mail, story

CONTENT = edition(story(1))
OURS = sorted(
    {
        field.name
        for raw in (digest_mail(CONTENT), notice_mail(CONTENT))
        for field in parse_mail(raw).fields
    }
    | {header.name for header in REFERENCE_HEADERS.values()}
    | {"Bcc", "Cc", "Sender", "Reply-To", "DKIM-Signature", "Return-Path", "Received"}
    | {"Delivered-To", "X-Original-To", "Envelope-To", "Authentication-Results"}
    | {"Content-Disposition", "Resent-To", "ARC-Seal", "X-Mailer-Any"}
)


@pytest.mark.parametrize("name", OURS)
def test_what_a_mail_has_already_cannot_be_added(name: str) -> None:
    for written in (name, name.upper(), name.lower()):
        with pytest.raises(BadMessage):
            check_extra_headers([(written, "value")])


def test_our_mails_have_more_than_twenty_headers() -> None:
    assert len(OURS) > 30


def test_others_can_be_added_once() -> None:
    check_extra_headers(
        [("X-PM-Message-Stream", "broadcast"), ("List-Owner", "<mailto:a@b.example>")]
    )
    check_extra_headers([("X-PM-Metadata-kind", "digest")])
    with pytest.raises(BadMessage, match="only once"):
        check_extra_headers([("X-A", "1"), ("x-a", "2")])
