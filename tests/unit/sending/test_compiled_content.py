"""What all mails of a content share: whom a relay takes them from, and the headers that staff added."""

import pytest

from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.message.return_address import BounceAddress
from mailer.models import Edition, FrozenContent, Notice, NoticeKind
from mailer.sending.compiled_content import compile_content
from tests.support.factories import CONTENT

OPTIONS = MailOptions(
    bounce_address=BounceAddress("bounce", "bounces.example"),
    extra_headers=(("X-A", "digest"),),
    extra_headers_notice=(("X-A", "notice"),),
)


@pytest.mark.parametrize(
    ("options", "domain"), [(NO_OPTIONS, "news.example"), (OPTIONS, "bounces.example")]
)
def test_refusals_are_counted_by_the_domain_that_the_relay_sees(
    options: MailOptions, domain: str
) -> None:
    compiled = compile_content(Edition(**CONTENT), tuple, options)
    assert compiled.sender_id == ("daily@news.example", domain)
    # The Message-ID is of the domain that the mail is from.
    assert compiled.sender == "daily@news.example"


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (Edition(**CONTENT), "digest"),
        (Notice(kind=NoticeKind.TEST, **CONTENT), "digest"),
        *((Notice(kind=kind, **CONTENT), "notice") for kind in NoticeKind if kind != "test"),
    ],
)
def test_each_kind_of_mail_has_its_own_headers(row: FrozenContent, value: str) -> None:
    compiled = compile_content(row, lambda: [("List-Post", "NO")], OPTIONS)
    assert compiled.mail is not None
    assert f"List-Post: NO\r\nX-A: {value}\r\n".encode() in compiled.mail._fixed


def test_a_header_that_the_mail_has_already_is_a_fault_of_this_content() -> None:
    compiled = compile_content(Edition(**CONTENT), lambda: [("x-a", "ours")], OPTIONS)
    assert compiled.mail is None
    assert "only once" in compiled.fault
