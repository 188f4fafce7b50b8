"""What the operator sets for all mails: envelopes of their own (VERP), references, and further headers."""

from collections import defaultdict
from datetime import timedelta
from email.utils import format_datetime

import pytest
from sqlalchemy import select

from mailer.lint import judge
from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.message.provider_reference import ReferenceLines
from mailer.message.return_address import BounceAddress
from mailer.models import Delivery, Notice, NoticeKind, Subscription
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.settings.provider_keys import PROVIDERS
from mailer.tokens import Purpose, message_id, referenced_row
from tests.support.receiver import Mail, fine
from tests.support.sending import BASE_URL, Post
from tests.support.waiting import wait_until

PLAIN = [NO_OPTIONS]
VERP = [MailOptions(bounce_address=BounceAddress("bounce", "bounces.news.example"))]
ALL = [
    MailOptions(
        bounce_address=BounceAddress("bounce", "bounces.news.example", "-"),
        reference_lines=ReferenceLines(PROVIDERS),
        extra_headers=(("X-PM-Message-Stream", "broadcast"), ("X-Mailgun-Tag", "digest")),
        extra_headers_notice=(("X-PM-Message-Stream", "outbound"),),
    )
]
READERS = 5


def send_all(post: Post, **changes: object) -> list[Mail]:
    """A digest to some readers, a confirmation and a test copy of a digest, as the relay got them."""
    post.notice()
    post.notice("editor@example.com", kind=NoticeKind.TEST)
    post.build(READERS)
    with post.relay(**changes) as relay:  # type: ignore[arg-type]
        wait_until(lambda: len(relay.mails) == READERS + 2)
    return sorted(relay.mails, key=lambda mail: mail.recipient)


def reference_of(mail: Mail) -> str:
    message_id = mail.header("Message-ID")
    assert message_id is not None
    return message_id.removeprefix("<").partition("@")[0]


@pytest.mark.parametrize("mail_options", PLAIN)
def test_with_nothing_set_the_bytes_are_as_ever(post: Post) -> None:
    *_, confirmation, digest = [
        mail
        for mail in send_all(post)
        if mail.recipient in {"newcomer@example.com", "reader1@example.com"}
    ]
    row, keys = post.row(), post.keys
    with post.database.read() as session:
        notice = session.scalars(select(Notice).order_by(Notice.id)).first()
        subscription = session.get_one(Subscription, row.subscription_id)
    assert notice is not None
    assert notice.first_attempt_at
    assert row.first_attempt_at
    leave = f"{BASE_URL}/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, subscription.public_id)}"
    assert (digest.sender, confirmation.sender) == ("daily@news.example", "daily@news.example")
    assert (
        lines(digest)
        == f"""\
From: The Daily <daily@news.example>
List-Id: The Daily <daily.news.example>
List-Post: NO
List-Help: <{BASE_URL}/preferences>
Auto-Submitted: auto-generated
Precedence: bulk
Feedback-ID: {row.digest_id}:daily:digest:newsexample
X-Auto-Response-Suppress: OOF, AutoReply
X-Mailer-Digest: {row.digest_id}
To: reader1@example.com
Subject: News of the day
Date: {format_datetime(row.first_attempt_at)}
Message-ID: {message_id(keys.reference("delivery", row.id, row.created_at), "news.example")}
List-Unsubscribe: <{leave}>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
X-Mailer-Delivery: {row.id}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_XK"

--=_XK
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

News

Leave:=20=
{leave}

--=_XK
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>News</p><a href=3D"=
{leave}=
">Leave</a>

--=_XK--
"""
    )
    assert (
        lines(confirmation).partition("MIME-Version")[0]
        == f"""\
From: The Daily <daily@news.example>
Auto-Submitted: auto-generated
X-Auto-Response-Suppress: OOF, AutoReply
To: newcomer@example.com
Subject: News of the day
Date: {format_datetime(notice.first_attempt_at)}
Message-ID: {message_id(keys.reference("notice", notice.id, notice.created_at), "news.example")}
"""
    )


@pytest.mark.parametrize("mail_options", VERP)
def test_each_mail_has_an_envelope_of_its_own_which_proves_whose_it_is(post: Post) -> None:
    mails = send_all(post)
    assert len({mail.sender for mail in mails}) == len(mails) == READERS + 2
    for mail in mails:
        reference = reference_of(mail)
        assert mail.sender == f"bounce+{reference}@bounces.news.example"
        assert mail.header("From") == "The Daily <daily@news.example>"
        assert mail.header("Message-ID") == f"<{reference}@news.example>"
        assert judge(mail.data) == ()
        # What comes back is compared with what is read of the row then, on either database.
        named = referenced_row(reference)
        assert named is not None
        table = Delivery if named.table == "delivery" else Notice
        with post.database.read() as session:
            at = session.scalars(select(table.created_at).where(table.id == named.row_id)).one()
        assert post.keys.is_reference(reference, at)
        assert not post.keys.is_reference(reference, at + timedelta(microseconds=1))


@pytest.mark.parametrize("mail_options", VERP)
def test_a_digest_can_be_left_by_mail_too(post: Post) -> None:
    digests = [mail for mail in send_all(post) if mail.header("X-Mailer-Delivery")]
    assert len(digests) == READERS
    for mail in digests:
        # Folded between the two, and nowhere else.
        first, second = lines(mail).partition("List-Unsubscribe: ")[2].splitlines()[:2]
        assert first.startswith(f"<{BASE_URL}/unsubscribe/")
        assert first.endswith(">,")
        address = second.removeprefix(" <mailto:").removesuffix("?subject=unsubscribe>")
        assert address == f"bounce+u.{reference_of(mail)}@bounces.news.example"


@pytest.mark.parametrize("mail_options", [*PLAIN, *VERP])
def test_a_retry_has_the_same_envelope(post: Post, mail_options: MailOptions) -> None:
    senders = defaultdict[str, list[str]](list)
    current = [""]

    def answer(verb: str, argument: str) -> str:
        if verb == "MAIL":
            current[0] = argument.split()[0]
        if verb == "RCPT":
            senders[argument].append(current[0])
            if len(senders[argument]) < 3:
                return "451 4.2.1 later"
        return fine(verb, argument)

    retry = RetryPlan((timedelta(milliseconds=10),), timedelta(hours=1))
    # One connection, so that the recipient belongs to the sender before it.
    mails = send_all(post, answer=answer, connections=1, retry=retry)
    assert len(senders) == len(mails)
    for mail in mails:
        assert senders[f"TO:<{mail.recipient}>"] == [f"FROM:<{mail.sender}>"] * 3


@pytest.mark.parametrize("mail_options", ALL)
def test_each_mail_has_what_relay_and_providers_want(post: Post) -> None:
    for mail in send_all(post):
        reference = reference_of(mail)
        is_digest = not mail.recipient.startswith("newcomer")
        assert mail.sender == f"bounce-{reference}@bounces.news.example"
        assert mail.header("X-PM-Message-Stream") == ("broadcast" if is_digest else "outbound")
        assert mail.header("X-Mailgun-Tag") == ("digest" if is_digest else None)
        assert mail.header("X-Mailer-Reference") == reference
        assert mail.header("X-PM-Metadata-reference") == reference
        assert mail.header("X-Mailin-custom") == f"reference:{reference}"
        assert mail.header("X-Mailgun-Variables") == f'{{"reference":"{reference}"}}'
        assert judge(mail.data) == ()


def lines(mail: Mail) -> str:
    assert mail.data.count(b"\n") == mail.data.count(b"\r\n")
    return mail.data.decode("ascii").replace("\r\n", "\n")
