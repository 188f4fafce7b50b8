"""The lint: each rule has a sample that it alone rejects, and good mails pass."""

import quopri
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.lint import RULES, judge

SAMPLES = Path(__file__).parents[2] / "data" / "mail"
GOOD = (SAMPLES / "good" / "digest-en.eml").read_bytes()
NOTICE = (SAMPLES / "good" / "notice-fr.eml").read_bytes()
LEAVE = "<https://news.courier.example/unsubscribe/AbC>"
EDGE = 'boundary="=_edge"'
LONG_NAME = "\n ".join(letter * 60 for letter in "abcd")


def rules(raw: bytes) -> set[str]:
    return {problem.rule for problem in judge(raw)}


def changed(old: str, new: str, raw: bytes = GOOD) -> bytes:
    """`raw` with the first `old` replaced; line feeds are written as CRLF."""
    before = old.encode("latin-1").replace(b"\n", b"\r\n")
    assert before in raw
    return raw.replace(before, new.encode("latin-1").replace(b"\n", b"\r\n"), 1)


def with_header(line: str) -> bytes:
    return changed("X-Mailer-Digest: 7", f"X-Mailer-Digest: 7\n{line}")


def with_html(element: str) -> bytes:
    encoded = quopri.encodestring(element.encode()).decode("ascii")
    return changed('<p style=3D"color:#222">', f'{encoded}\n<p style=3D"color:#222">')


@pytest.mark.parametrize("path", sorted((SAMPLES / "good").iterdir()), ids=lambda path: path.stem)
def test_good_mails_pass(path: Path) -> None:
    assert judge(path.read_bytes()) == ()


@pytest.mark.parametrize("path", sorted((SAMPLES / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_mail_is_rejected_by_its_rule_alone(path: Path) -> None:
    problems = judge(path.read_bytes())
    assert {problem.rule for problem in problems} == {path.stem}
    assert all(problem.detail for problem in problems)


def test_every_rule_has_a_bad_sample() -> None:
    assert {path.stem for path in (SAMPLES / "bad").iterdir()} == set(RULES)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        # Headers that every mail has.
        ("Subject: Ferry to stop for ten days", "Subject:", "header-missing"),
        ("Date: Tue, 24", "Date: Mon, 24", "date"),
        ("Date: Tue, 24 Nov 2026", "Date: Tue, 31 Feb 2026", "date"),
        ("+0000", "+0400", "date"),
        ("+0000", "GMT", "date"),
        ("news@courier.example>\n", "news@courier.example> <a@b.example>\n", "one-mailbox"),
        ("Harbour Courier <news", "Courier, Harbour <news", "one-mailbox"),
        ("To: reader@example.com", "To: reader", "address"),
        ("To: reader@example.com", "To: reader@ex_ample.com", "address"),
        ("To: reader@example.com", f"To: {'r' * 250}@a.example", "address"),
        ("Reply-To: desk@courier.example", "Reply-To: desk@.example", "address"),
        ("From: Harbour Courier", "From: =?utf-8?b?/w==?=", "encoded-word-broken"),
        ("From: Harbour Courier", "From: =?utf-8?q?Courier_=E2=9A=93?=", "display-name"),
        ("Courier <news", "Courier <ne=?utf-8?q?w?=s", "encoded-word-place"),
        ("Subject: Ferry", "Subject: =?utf-8?q?Ferry?=to", "encoded-word-place"),
        ("Subject: Ferry", "Subject: a=?utf-8?q?Ferry?=", "encoded-word-place"),
        ("Subject: Ferry", "Subject: =?utf-8?q?Ferry to?=", "encoded-word-broken"),
        ("Subject: Ferry", "Subject: =?utf-8?q?Ferr=Y?=", "encoded-word-broken"),
        ("Subject: Ferry", "Subject: =?utf-8?b?Rm9v?Zg?=", "encoded-word-broken"),
        ("Subject: Ferry", "Subject: =?utf-8?b?Rm9vZg?=", "encoded-word-broken"),
        ("Subject: Ferry", "Subject: =?klingon?q?Ferry?=", "encoded-word-broken"),
        ("Message-ID: <d1.0123456789abcdef@", "Message-ID: <=?utf-8?q?a?=@", "encoded-word-header"),
        # Digests.
        ("List-Id: Harbour Courier <daily.courier.example>\n", "", "list-id"),
        ("Harbour Courier <daily.", "Harbour Courier<daily.", "list-id"),
        ("<daily.courier.example>", "<daily>", "list-id"),
        ("Id: Harbour Courier <", f"Id: {LONG_NAME}\n <", "list-id"),
        ("List-Unsubscribe: <https:", "List-Unsubscribe: <http:", "list-unsubscribe"),
        ("<mailto:bounce+AbC@", "<https://u:p@", "list-unsubscribe"),
        ("<mailto:bounce+AbC@", "<mailto:a@b.example>,\n <mailto:c@", "list-unsubscribe"),
        (LEAVE, "<https://[::1/unsubscribe>", "list-unsubscribe"),
        (LEAVE, "<https:unsubscribe>", "list-unsubscribe"),
        ("List-Help: <https://news.courier.example/preferences>", "List-Help: a", "list-url"),
        ("List-Unsubscribe=One-Click", "List-Unsubscribe=one-click", "list-unsubscribe-post"),
        ("courierexample", "cou", "feedback-id"),
        ("7:daily:digest:courierexample", "=?utf-8?q?7?=", "encoded-word-header"),
        # Parts.
        ("Content-Type: multipart/alternative;", "Content-Type: multipart/mixed;", "alternative"),
        ('; boundary="=_edge"', "", "mime-structure"),
        ('boundary="=_edge"', 'boundary="=_other"', "mime-structure"),
        (EDGE, f"{EDGE}\nContent-Transfer-Encoding: base64", "transfer-encoding"),
        ("charset=utf-8", "charset=koi8-r", "charset"),
        ("charset=utf-8", "format=fixed", "charset"),
        ("Saltmouth\n\n--", "Saltmouth=\n\n--", "encoding-broken"),
        ("Saltmouth\n\n--", "Saltmouth=\n--", "encoding-broken"),
        ("Good morning,\n", "Good morning, \n", "encoding-broken"),
        ("Good morning,\n", "Good =zz morning,\n", "encoding-broken"),
    ],
)
def test_other_ways_to_break_a_rule(old: str, new: str, rule: str) -> None:
    assert rules(changed(old, new)) == {rule}


@pytest.mark.parametrize(
    ("element", "rule"),
    [
        ('<p onclick="x()">Go</p>', "html-active"),
        ('<a href="java\nscript:x()">Go</a>', "html-active"),
        ('<meta http-equiv="refresh" content="1">', "html-active"),
        ("<iframe></iframe>", "html-active"),
        ("<input>", "html-form"),
        ("<style>@import url(https://a.example/a.css);</style>", "css-external"),
        ('<p style="background:url(data:image/gif;base64,AA)">a</p>', "data-uri"),
        ('<a href="data:text/html,a">Go</a>', "data-uri"),
        ("<style>p { position : fixed }</style>", "css-position"),
        ('<img src="/a.png" width="9" height="9" alt="">', "image"),
        ('<img src="cid:a" width="9" height="9" alt="">', "image"),
        ('<img src="http://a.example/a.png" width="9" height="9" alt="">', "image"),
        ('<img src="https://a.example/a.png" width="9" height="0" alt="">', "tracking-pixel"),
        ('<a href="">Go</a>', "link"),
        ('<a href="/article">Go</a>', "link"),
        ('<a href="#top">Go</a>', "link"),
        ('<a href="https:///article">Go</a>', "link"),
        ('<a href="https://[a/">Go</a>', "link"),
        ('<a href="https://a.example/">https://b.example/</a>', "link-text"),
        ('<a href="https://a.example/"><b>www.b.example</b></a>', "link-text"),
        ('<a href="https://a.example/">https://[a/</a>', "link-text"),
        ('<a href="mailto:a@a.example">b.example</a>', "link-text"),
        ('<a href="https://a.example/">ե.example</a>', "link-text"),
    ],
)
def test_other_html_that_breaks_a_rule(element: str, rule: str) -> None:
    assert rules(with_html(element)) == {rule}


@pytest.mark.parametrize(
    "element",
    [
        '<a href="mailto:desk@courier.example">Write to us</a>',
        '<a href="http://127.0.0.1:8000/confirm/a">Confirm</a>',
        '<a href="http://localhost/">Look</a>',
        '<a href="http://[::1]:8000/">Look</a>',
        '<a href="https://www.a.example/x?y">a.example</a>',
        '<a href="https://xn--y9aha3e3bn.example/">երեւան.example</a>',
        '<a href="https://a.example/">b.example is odd</a>',
        '<a name="top">a.example</a>',
        '<div style="max-height:0.9em;font-size:0.5em;background-position:0">a</div>',
        "<div hidden>" + "\u200c\u00a0" * 200 + "a" * 120 + "</div>",
        "<ul><li>one<li>two</ul></section>",
        '<!--[if mso]><table position:absolute><tr><td onload="x"><![endif]-->',
    ],
)
def test_html_that_is_good(element: str) -> None:
    assert rules(with_html(element)) == set()


@pytest.mark.parametrize(
    "line",
    [
        "Sender: list@courier.example",
        "List-Archive: <https://courier.example/a>,\n <https://courier.example/b>",
        "DKIM-Signature: v=1; d=courier.example; s=a; bh=AA==; b=AA==",
        "DKIM-Signature: v=1; d=mail.courier.example; s=a; bh=AA==; b=AA==",
        "X-Long: " + "a" * 200,
        "X-Short:\n " + "a" * 200,
        "X-Query: a=?b",
        "Comments: (=?utf-8?q?note?=) =?utf-8*en?b?TcO8bGxlcg==?=\n =?utf-8?q?_a?=",
    ],
)
def test_headers_that_are_good(line: str) -> None:
    assert rules(with_header(line)) == set()


@pytest.mark.parametrize("value", ["mail.xn--courier.example", "evil.example", "r.example"])
def test_a_signature_of_another_domain(value: str) -> None:
    assert rules(with_header(f"DKIM-Signature: v=1; d={value}; b=AA==")) == {"dkim-domain"}


def test_a_header_may_be_repeated_where_a_mail_may_have_several() -> None:
    assert rules(with_header("Comments: a\nComments: b")) == set()
    assert rules(with_header("List-Help: <https://a.example/>")) == {"header-repeated"}


def test_a_letter_by_hand_needs_no_auto_submitted_but_a_notice_does() -> None:
    assert rules(changed("Auto-Submitted: auto-generated\n", "")) == set()
    notice = changed("Auto-Submitted: auto-generated\n", "", NOTICE)
    assert rules(notice) == {"auto-submitted"}


@pytest.mark.parametrize("line", ["Precedence: bulk", "X-Mailer-Digest: 7", "List-Post: NO"])
def test_what_only_a_digest_has_makes_one(line: str) -> None:
    notice = changed("MIME-Version: 1.0", f"{line}\nMIME-Version: 1.0", NOTICE)
    assert rules(notice) == {"list-unsubscribe", "list-unsubscribe-post"}


def test_parts_in_parts() -> None:
    raw = (SAMPLES / "bad" / "attachment.eml").read_bytes()
    inner = raw.replace(b'boundary="=_edge"', b'boundary="=_outer"', 1)
    head, _, body = inner.partition(b"\r\n\r\n")
    texts, _, pdf = body.rpartition(b"--=_edge\r\nContent-Type: application/pdf")
    mixed = (
        head.replace(b"multipart/alternative", b"multipart/mixed"),
        b'\r\n--=_outer\r\nContent-Type: multipart/alternative; boundary="=_edge"',
        b"\r\n" + texts + b"--=_edge--\r\n--=_outer",
        b"Content-Type: application/pdf" + pdf.replace(b"=_edge", b"=_outer"),
    )
    assert rules(b"\r\n".join(mixed)) == {"attachment"}


def test_parts_that_are_nested_without_end() -> None:
    raw = b"Content-Type: text/plain\r\n\r\na"
    for depth in range(12):
        head = b'Content-Type: multipart/mixed; boundary="%d"\r\n' % depth
        raw = head + b"\r\n--%d\r\n%b\r\n--%d--\r\n" % (depth, raw, depth)
    found = [problem.detail for problem in judge(raw) if problem.rule == "mime-structure"]
    assert found == ["parts are nested more than 10 deep"]


def test_base64_that_is_cut_off() -> None:
    raw = (SAMPLES / "good" / "digest-hy.eml").read_bytes()
    end = raw.index(b"\r\n\r\n--=_", raw.index(b"base64"))
    cut = raw[: end - 3] + raw[end:]
    assert rules(cut) <= {"encoding-broken", "charset", "html-size"}
    assert "encoding-broken" in rules(cut)


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"\r\n\r\nbody\r\n", b"\n\n\n", b"no mail at all", b"\xff\xfe\0"]
)
def test_what_is_no_mail_is_rejected_without_an_error(raw: bytes) -> None:
    assert "header-missing" in rules(raw)
    assert "mime-structure" in rules(raw)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(GOOD)),
            st.integers(0, 40),
            st.binary(max_size=20)
            | st.sampled_from(
                [b"=?utf-8?q?", b"=?x?b?=?=", b"\r\n", b"--=_edge", b"<", b'"', b"=", b"<p hidden>"]
            ),
        ),
        max_size=8,
    )
)
def test_whatever_is_broken_is_judged_without_an_error(edits: list[tuple[int, int, bytes]]) -> None:
    raw = GOOD
    for start, length, new in edits:
        raw = raw[:start] + new + raw[start + length :]
    assert rules(raw) <= set(RULES)


def test_each_problem_is_told_once() -> None:
    found = judge(with_html("<script></script><script></script>"))
    assert [problem.rule for problem in found] == ["html-active"]


def test_how_often_a_byte_is_wrong_is_told_in_one_problem() -> None:
    found = judge(GOOD.replace(b"\r\n", b"\n"))
    lines = GOOD.count(b"\r\n")
    assert [(found.rule, found.detail) for found in found] == [
        ("bare-lf", f"byte 0x0A in line 1, and {lines - 1} more")
    ]


def test_every_rule_is_in_the_documentation() -> None:
    page = (SAMPLES.parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
    for rule, demand in RULES.items():
        assert f"| `{rule}` | {demand} |" in page
