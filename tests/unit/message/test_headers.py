"""The matrix of headers: digests, their readers, notices."""

import pytest

from mailer.errors import BadMessage
from mailer.message.headers import (
    READER_HEADERS,
    digest_headers,
    list_id_value,
    notice_headers,
    reader_headers,
)

URL = "https://news.courier.example/unsubscribe/AbC"
DIGEST = {
    "digest_id": 7,
    "slug": "daily",
    "title": "Harbour Courier",
    "list_id": "daily.courier.example",
    "from_address": "news@courier.example",
    "help_url": "https://news.courier.example/preferences",
}


def test_all_readers_of_a_digest_get_these() -> None:
    assert digest_headers(**DIGEST) == (
        ("List-Id", "Harbour Courier <daily.courier.example>"),
        ("List-Post", "NO"),
        ("List-Help", "<https://news.courier.example/preferences>"),
        ("Auto-Submitted", "auto-generated"),
        ("Precedence", "bulk"),
        ("Feedback-ID", "7:daily:digest:courierexample"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("X-Mailer-Digest", "7"),
    )


def test_a_letter_by_hand_is_not_auto_submitted() -> None:
    by_hand = digest_headers(**DIGEST, automatic=False)
    assert [name for name, _ in by_hand].count("Auto-Submitted") == 0
    assert len(by_hand) == len(digest_headers(**DIGEST)) - 1


def test_each_reader_gets_a_way_to_leave() -> None:
    lines = reader_headers(delivery_id=1, unsubscribe_url=URL).decode("ascii").split("\r\n")
    assert lines == [
        f"List-Unsubscribe: <{URL}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "X-Mailer-Delivery: 1",
        "",
    ]
    assert tuple(line.partition(":")[0] for line in lines[:-1]) == READER_HEADERS


def test_a_second_way_to_leave_is_folded_between_the_urls_only() -> None:
    mailto = "mailto:bounce+u.d12.0123456789abcdef0123456789abcdef@news.example?subject=unsubscribe"
    lines = reader_headers(delivery_id=1, unsubscribe_url=URL, mailto=mailto).split(b"\r\n")
    assert lines[:2] == [f"List-Unsubscribe: <{URL}>,".encode(), f" <{mailto}>".encode()]
    with pytest.raises(BadMessage):
        reader_headers(delivery_id=1, unsubscribe_url=URL, mailto="mailto:a@b.example>\r\nBcc: <x")


def test_a_notice_is_automatic_and_not_bulk() -> None:
    alert = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "OOF, AutoReply"))
    assert notice_headers() == alert
    assert notice_headers(title="Courier", list_id="daily.courier.example") == (
        ("List-Id", "Courier <daily.courier.example>"),
        *alert,
    )


@pytest.mark.parametrize(
    ("title", "value"),
    [
        ("", "<daily.courier.example>"),
        ("Курьер", "=?utf-8?b?0JrRg9GA0YzQtdGA?= <daily.courier.example>"),
        ("Курьер " * 20, "<daily.courier.example>"),
    ],
)
def test_a_list_id_of_at_most_255_octets(title: str, value: str) -> None:
    assert list_id_value(title, "daily.courier.example") == value


@pytest.mark.parametrize("list_id", ["", "daily", "a b.example", "<a.example>", "é.example"])
def test_what_is_no_list_id_is_refused(list_id: str) -> None:
    with pytest.raises(BadMessage, match="List-Id"):
        list_id_value("Courier", list_id)


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("a@t.co", "tco00"),
        ("a@the-very-long-name-of-a-courier.example", "theverylongname"),
        ("a@Курьер.example", "xne1ajsbm9cexam"),
    ],
)
def test_the_sender_of_feedback_has_5_to_15_characters(address: str, sender: str) -> None:
    values = dict(digest_headers(**DIGEST | {"from_address": address}))
    assert values["Feedback-ID"].rpartition(":")[2] == sender
