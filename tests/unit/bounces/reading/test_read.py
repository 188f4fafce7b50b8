"""The forms in which reports, complaints and references come."""

import base64
import quopri

import pytest

from mailer.bounces.reading.read import read_returned
from mailer.bounces.reading.returned import ReturnedMail
from mailer.bounces.reasons import BounceKind, Reason
from tests.support.returned_mails import (
    BOUNCE,
    READER,
    REFERENCE,
    RETURNED,
    header,
    postfix,
    report,
)

OTHER = "n77." + "fedcba9876543210" * 2


def read(mail: str) -> ReturnedMail:
    return read_returned(mail.encode())


def group(*lines: str) -> str:
    return "Reporting-MTA: dns; relay.example\n\n" + "\n".join(lines) + "\n"


def arf(kind: str, *fields: str, returned: str = RETURNED) -> str:
    top = header("feedback@provider.example", "complaint", "MIME-Version: 1.0")
    lines = "\n".join([f"Feedback-Type: {kind}", "User-Agent: Loop/1", "Version: 1", *fields])
    return (
        f"{top}Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        f"--b\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        f"--b\nContent-Type: message/feedback-report\n\n{lines}\n"
        f"--b\nContent-Type: message/rfc822\n\n{returned}\n--b--\n"
    )


def test_a_report_is_read() -> None:
    mail = read(postfix("5.1.1", "550 5.1.1 User unknown"))
    (recipient,) = mail.recipients
    assert (mail.kind, mail.reason) == (BounceKind.HARD, Reason.USER_UNKNOWN)
    assert recipient.address == READER
    assert (recipient.action, recipient.status) == ("failed", "5.1.1")
    assert recipient.diagnostic == "550 5.1.1 User unknown"


def test_all_recipients_of_a_report_are_read_and_the_gravest_counts() -> None:
    mail = read(
        report(
            "",
            "Reporting-MTA: dns; relay.example\n\n"
            "Final-Recipient: rfc822; a@nowhere.example\nAction: FAILED\nStatus: 5.2.2\n\n"
            "Final-Recipient: RFC822;b@nowhere.example\nAction: Delayed\nStatus: 4.4.1\n\n"
            "Final-Recipient: rfc822; <c@nowhere.example>\naction: failed (for good)\n"
            "Status: 5.1.1 (no such user)\n\n"
            "Final-Recipient: rfc822; d@nowhere.example\nAction: relayed\nStatus: 2.0.0\n",
        )
    )
    assert [one.reason for one in mail.recipients] == [
        *(Reason.MAILBOX_FULL, Reason.DELAYED, Reason.USER_UNKNOWN, Reason.RECEIPT),
    ]
    assert [one.address for one in mail.recipients] == [
        f"{letter}@nowhere.example" for letter in "abcd"
    ]
    assert [one.action for one in mail.recipients] == ["failed", "delayed", "failed", "relayed"]
    assert mail.recipients[2].status == "5.1.1"
    assert mail.reason is Reason.USER_UNKNOWN


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        (["Final-Recipient: utf-8; répondeur@nowhere.example"], "répondeur@nowhere.example"),
        ([r"Final-Recipient: utf-8; r\x{E9}pondeur@nowhere.example"], "répondeur@nowhere.example"),
        (["Final-Recipient: LOCAL; reader", "Original-Recipient: rfc822;" + READER], READER),
        (["Final-Recipient: " + READER], READER),
        (["Original-Recipient: rfc822;old@nowhere.example", "Final-Recipient: rfc822;" + READER],
         "old@nowhere.example"),
        (["Final-Recipient: x400; /S=reader/C=xx/"], READER),
    ],
)  # fmt: skip
def test_the_address_is_the_one_that_was_mailed(fields: list[str], address: str) -> None:
    text = f"Your message could not be delivered to:\n\n{READER}\n"
    mail = read(report(text, group(*fields, "Action: failed", "Status: 5.1.1")))
    assert [one.address for one in mail.recipients] == [address]


def test_a_report_in_utf8_is_read() -> None:
    groups = group(f"Final-Recipient: utf-8; {READER}", "Action: failed", "Status: 5.6.7")
    mail = read(
        report("", groups, kind="message/global-delivery-status", returned="message/global")
    )
    assert mail.reason is Reason.UNSUPPORTED
    assert mail.references == (REFERENCE,)


@pytest.mark.parametrize("between", ["", "\n"], ids=["no-empty-lines", "empty-lines-everywhere"])
def test_empty_lines_of_a_report_do_not_matter(between: str) -> None:
    lines = ["Reporting-MTA: dns; relay.example"]
    for letter in "ab":
        lines += [f"Final-Recipient: rfc822; {letter}@nowhere.example"]
        lines += ["Action: failed", "Status: 5.1.1"]
    mail = read(report("", f"\n{between}".join(lines)))
    assert [one.address for one in mail.recipients] == ["a@nowhere.example", "b@nowhere.example"]
    assert {one.status for one in mail.recipients} == {"5.1.1"}


def test_a_report_that_only_stands_in_the_text_is_read() -> None:
    top = header("MAILER-DAEMON@relay.example", "Undeliverable")
    mail = read(
        f"{top}\nSorry.\n\nFinal-Recipient: rfc822; {READER}\nAction: failed\nStatus: 5.1.1\n"
    )
    assert mail.reason is Reason.USER_UNKNOWN
    assert [one.address for one in mail.recipients] == [READER]


@pytest.mark.parametrize("action", ["delayed", "DELAYED", "Delayed (will retry)", "deferred"])
def test_a_delay_is_no_bounce(action: str) -> None:
    groups = group(f"Final-Recipient: rfc822; {READER}", f"Action: {action}", "Status: 5.1.1")
    assert read(report("User unknown", groups)).reason is Reason.DELAYED


def test_a_delivery_is_a_receipt() -> None:
    groups = group(f"Final-Recipient: rfc822; {READER}", "Action: delivered", "Status: 2.0.0")
    assert read(report("Delivered.", groups)).kind is BounceKind.AUTOREPLY


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        ("4.1.1", "", Reason.EXPIRED),
        ("4.4.7", "", Reason.EXPIRED),
        ("4.2.2", "", Reason.MAILBOX_FULL),
        ("4.0.0", "450 mailbox unavailable", Reason.EXPIRED),
        ("4.4.1", "all hosts failed: Host or domain name not found", Reason.EXPIRED),
        ("4.1.1", "450 4.1.1 User unknown", Reason.USER_UNKNOWN),
    ],
)
def test_a_temporary_status_is_soft_unless_the_text_says_otherwise(
    status: str, text: str, reason: Reason
) -> None:
    lines = [f"Final-Recipient: rfc822; {READER}", "Action: failed", f"Status: {status}"]
    said = [f"Diagnostic-Code: smtp; {text}"] if text else []
    assert read(report("", group(*lines, *said))).reason is reason


def test_status_alone_decides_if_there_is_no_text() -> None:
    expected = {
        "5.1.1": Reason.USER_UNKNOWN, "5.1.2": Reason.HOST_UNKNOWN, "5.1.6": Reason.MOVED,
        "5.1.10": Reason.NOT_ACCEPTING, "5.2.1": Reason.SUSPENDED, "5.2.2": Reason.MAILBOX_FULL,
        "5.3.4": Reason.SIZE, "5.4.4": Reason.HOST_UNKNOWN, "5.4.6": Reason.LOOP,
        "5.7.1": Reason.POLICY, "5.7.26": Reason.AUTHENTICATION, "5.0.0": Reason.OTHER,
    }  # fmt: skip
    for status, reason in expected.items():
        lines = [f"Final-Recipient: rfc822; {READER}", "Action: failed", f"Status: {status}"]
        assert read(report("", group(*lines))).reason is reason, status


@pytest.mark.parametrize(
    ("transcript", "status", "reason"),
    [
        (">>> DATA\n<<< 550 Unknown user", "5.2.0", Reason.REFUSED),
        ("", "5.0.0", Reason.REFUSED),
        ("", "5.1.1", Reason.USER_UNKNOWN),
        ("said: 550 Unknown user (in reply to RCPT TO command)", "5.0.0", Reason.USER_UNKNOWN),
        (">>> RCPT To:<x>\n<<< 550 Unknown user", "5.2.0", Reason.USER_UNKNOWN),
        (">>> DATA\n<<< 550 Unknown user\n<<< 503 Need RCPT", "5.2.0", Reason.USER_UNKNOWN),
        (">>> DATA\n<<< 550 5.1.1 Unknown user", "5.1.1", Reason.USER_UNKNOWN),
    ],
)
def test_an_unknown_user_may_be_a_filter_unless_it_answers_the_recipient(
    transcript: str, status: str, reason: Reason
) -> None:
    lines = [f"Final-Recipient: rfc822; {READER}", "Action: failed", f"Status: {status}"]
    said = "Diagnostic-Code: smtp; 550 Unknown user"
    assert read(report(transcript, group(*lines, said))).reason is reason


@pytest.mark.parametrize(
    ("feedback", "reason"),
    [
        ("abuse", Reason.ABUSE), ("fraud", Reason.FRAUD), ("virus", Reason.VIRUS_REPORT),
        ("opt-out", Reason.OPT_OUT), ("other", Reason.OTHER_COMPLAINT),
        ("something-new", Reason.OTHER_COMPLAINT), ("not-spam", Reason.NOT_SPAM),
        ("auth-failure", Reason.AUTHENTICATION_REPORT), ("ABUSE", Reason.ABUSE),
    ],
)  # fmt: skip
def test_feedback(feedback: str, reason: Reason) -> None:
    mail = read(arf(feedback, f"Original-Rcpt-To: <{READER}>"))
    assert mail.reason is reason
    assert [one.address for one in mail.recipients] == [READER]
    assert mail.references == (REFERENCE,)


def test_feedback_without_addresses_names_our_mail() -> None:
    redacted = RETURNED.replace(READER, "redacted").replace(f"<{BOUNCE}>", "<redacted>")
    mail = read(arf("abuse", returned=redacted))
    assert mail.kind is BounceKind.COMPLAINT
    assert mail.references == (REFERENCE,)


def test_hotmails_older_report_is_a_complaint() -> None:
    top = header("staff@hotmail.example", " complaint about message from 192.0.2.1")
    mail = read(
        f"{top}Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        f"X-HmXmrOriginalRecipient: {READER}\n{RETURNED}\n--b--\n"
    )
    assert mail.reason is Reason.ABUSE
    assert [one.address for one in mail.recipients] == [READER]


def test_a_receipt_is_no_bounce() -> None:
    top = header(READER, "Read: The Gazette")
    mail = read(
        f"{top}Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n"
        "--b\nContent-Type: text/plain\n\nYour message was displayed.\n"
        "--b\nContent-Type: message/disposition-notification\n\n"
        f"Final-Recipient: rfc822; {READER}\nDisposition: manual-action; displayed\n--b--\n"
    )
    assert mail.reason is Reason.RECEIPT


def test_a_mailbox_that_rejects_by_a_receipt_has_bounced() -> None:
    top = header("postmaster@nowhere.example", "Rejected: The Gazette")
    mail = read(
        f"{top}Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n"
        f"--b\n\nYour message to <{READER}> was automatically rejected:\nQuota exceeded\n"
        "--b\nContent-Type: message/disposition-notification\n\n"
        f"Final-Recipient: rfc822; {READER}\nDisposition: automatic-action; deleted\n--b--\n"
    )
    assert mail.reason is Reason.MAILBOX_FULL


TEXT = f"Your message could not be delivered to:\n\n{READER}: Empfänger unbekannt\n"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Transfer-Encoding: base64", "Content-Type: text/plain; charset=utf-8"],
         base64.encodebytes(TEXT.encode())),
        (["Content-Transfer-Encoding: quoted-printable", "Content-Type: text/plain; charset=utf-8"],
         quopri.encodestring(TEXT.encode())),
        (["Content-Type: text/plain; charset=iso-8859-1"], TEXT.encode("latin-1")),
        (["Content-Type: text/plain"], TEXT.encode()),
        (["Content-Type: text/plain; charset=unknown-8bit"], TEXT.encode("latin-1")),
        (["Content-Type: text/plain; charset=utf-16le"], TEXT.encode("utf-16-le")),
        ([], TEXT.encode()),
        (["Content-Type: text/html; charset=utf-8"],
         f"<html><style>a b</style><p>Failed:<p><b>{READER}</b>: user&nbsp;unknown".encode()),
    ],
)  # fmt: skip
def test_bodies_are_decoded(fields: list[str], body: bytes) -> None:
    top = header("MAILER-DAEMON@relay.example", "Undeliverable", *fields)
    mail = read_returned(top.encode() + b"\n" + body)
    assert mail.reason is Reason.USER_UNKNOWN
    assert [one.address for one in mail.recipients] == [READER]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"], ids=["lf", "crlf", "cr", "crcrlf"])
@pytest.mark.parametrize(
    "before", ["", "From MAILER-DAEMON Sat Nov 28 07:31:00 2026\n", "\ufeff", "\n"]
)
def test_line_ends_and_what_stands_first_do_not_matter(before: str, end: str) -> None:
    raw = (before + postfix("5.1.1", "550 5.1.1 User unknown")).replace("\n", end).encode()
    mail = read_returned(raw)
    assert (mail.reason, mail.references) == (Reason.USER_UNKNOWN, (REFERENCE,))
    assert [one.address for one in mail.recipients] == [READER]


def test_a_missing_boundary_is_guessed() -> None:
    whole = postfix("5.1.1", "550 5.1.1 User unknown")
    mail = read(whole.replace('boundary="=_1"', 'boundary="another"'))
    assert (mail.reason, mail.references) == (Reason.USER_UNKNOWN, (REFERENCE,))
    mail = read(whole.replace("Content-Type: multipart/report;", "X-Lost:"))
    assert (mail.reason, mail.references) == (Reason.USER_UNKNOWN, (REFERENCE,))


def test_a_report_without_any_boundary_is_read() -> None:
    mail = read(postfix("5.1.1", "550 5.1.1 User unknown").replace("--=_1\n", "\n"))
    assert mail.reason is Reason.USER_UNKNOWN
    assert [one.address for one in mail.recipients] == [READER]


def test_a_mail_that_ends_in_its_middle_is_read() -> None:
    whole = postfix("5.1.1", "550 5.1.1 User unknown")
    assert read(whole[: whole.index("--=_1\nContent-Type: message/rfc822")]).kind is BounceKind.HARD


@pytest.mark.parametrize(
    "field",
    ["To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "Apparently-To"],
)
@pytest.mark.parametrize("separator", "+-=_")
def test_the_address_that_the_mail_came_to_names_our_mail(field: str, separator: str) -> None:
    mail = read(f"{field}: <Bounce{separator}{REFERENCE.upper()}@News.Example>\nSubject: x\n\nx")
    assert mail.references == (REFERENCE,)
    assert not mail.unsubscribe


def test_references_come_in_the_order_of_trust() -> None:
    groups = group(f"Final-Recipient: rfc822; {READER}", "Action: failed", "Status: 5.1.1")
    whole = report("", f"Original-Envelope-Id: {OTHER}\n{groups}")
    assert read(whole).references == (REFERENCE, OTHER)
    assert read(whole.replace(BOUNCE, "bounce@news.example", 1)).references[0] != REFERENCE


def test_only_the_returned_headers_name_our_mail() -> None:
    top = header("MAILER-DAEMON@relay.example", "failure notice").replace(BOUNCE, "b@news.example")
    said = f"User unknown: {READER} {OTHER}\nX-Mailer-Delivery: 12\n"
    marker = "--- Below this line is a copy of the message.\n\n"
    assert read(f"{top}\n{said}{marker}{RETURNED}").references == (REFERENCE,)
    assert read(f"{top}\n{said}{marker}X-Mailer-Reference: {OTHER}\n").references == (OTHER,)
    assert read(f"{top}\n{said}{marker}X-Mailer-Delivery: 12\n").references == ()
    assert read(f"{top}\n{said}").references == ()


@pytest.mark.parametrize(
    "almost",
    [REFERENCE[:-1], REFERENCE + "0", "x" + REFERENCE, REFERENCE.replace(".", ""), "d." + "0" * 32],
)
def test_what_only_looks_like_a_reference_is_none(almost: str) -> None:
    assert read(f"To: <bounce+{almost}@news.example>\n\nx").references == ()


LEAVE = f"<bounce+u.{REFERENCE}@news.example>"


def test_a_mail_to_the_address_for_leaving_is_an_unsubscription() -> None:
    mail = read(f"From: {READER}\nTo: {LEAVE}\nSubject: unsubscribe\n\n")
    assert (mail.unsubscribe, mail.references) == (True, (REFERENCE,))
    assert mail.kind is BounceKind.NONE


@pytest.mark.parametrize(
    "mail",
    [
        f"From: {READER}\nTo: {LEAVE}\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nAway.",
        postfix("5.1.1", "550 User unknown").replace(f"<{BOUNCE}>", LEAVE, 1),
    ],
    ids=["autoreply", "bounce"],
)
def test_a_machine_does_not_unsubscribe(mail: str) -> None:
    assert not read(mail).unsubscribe


@pytest.mark.parametrize("field", ["X-Apple-Unsubscribe: true", "X-Other: 1"])
def test_a_program_that_unsubscribes_for_a_reader_is_believed(field: str) -> None:
    subject = "unsubscribe" if "Apple" not in field else "x"
    mail = read(
        f"From: {READER}\nTo: {LEAVE}\nSubject: {subject}\nAuto-Submitted: auto-replied\n{field}\n\n"
        "The mail program sent this to unsubscribe."
    )
    assert (mail.unsubscribe, mail.references) == (True, (REFERENCE,))


def test_a_notification_that_was_sent_on_by_mail_is_read() -> None:
    mail = read(
        "From: no-reply@relay.example\nTo: b@news.example\nSubject: Notification\n"
        'x-amz-sns-message-id: 1\n\n{"notificationType":"Bounce","bounce":{"bouncedRecipients":'
        f'[{{"emailAddress":"{READER}","action":"failed","status":"5.1.1",'
        '"diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"source":"news@news.example"}}\n'
    )
    assert mail.reason is Reason.USER_UNKNOWN
    assert [one.address for one in mail.recipients] == [READER]


def test_all_who_complained_are_named() -> None:
    mail = read(arf("abuse", f"Original-Rcpt-To: {READER}", "Original-Rcpt-To: b@nowhere.example"))
    assert [one.address for one in mail.recipients] == [READER, "b@nowhere.example"]


def test_strangers_text_is_one_printable_line() -> None:
    mail = read(postfix("5.1.1", "550 \x1b[31m\x00User unknown\u202e" + "x" * 3_000))
    (recipient,) = mail.recipients
    assert recipient.diagnostic is not None
    assert recipient.diagnostic.isprintable()
    assert len(recipient.diagnostic) <= 500


@pytest.mark.parametrize("raw", [b"", b"\n", b"\0", b"From ", b":", b"\xff\xfe", b"a" * 100])
def test_whatever_is_no_mail_reports_nothing(raw: bytes) -> None:
    assert read_returned(raw) == ReturnedMail(Reason.ORDINARY)
