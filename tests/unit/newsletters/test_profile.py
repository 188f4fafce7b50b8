"""A newsletter's profile: what is valid, and what an edit leaves alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import BadAddress, BadMessage, MailerError, Refused
from mailer.newsletters.profile import NewsletterChanges, Profile, changed_profile

GOOD = NewsletterChanges(
    title="The Daily",
    sender="The Daily <daily@news.example>",
    postal_address="1 Sample Street\n 12345  Sampletown \n",
)


def test_what_is_not_asked_for_has_a_default() -> None:
    assert changed_profile(GOOD) == Profile(
        title="The Daily",
        language="en",
        from_name="The Daily",
        from_address="daily@news.example",
        reply_to=None,
        postal_address="1 Sample Street\n12345 Sampletown",
        logo_url=None,
        color="#14507a",
        closed=False,
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (NewsletterChanges(title=""), "title"),
        (NewsletterChanges(title="two\nlines"), "title"),
        (NewsletterChanges(title="x" * 201), "title"),
        (NewsletterChanges(sender="daily@news.example"), "--from"),
        (NewsletterChanges(sender="<daily@news.example>"), "--from"),
        (NewsletterChanges(sender='"" <daily@news.example>'), "--from"),
        (NewsletterChanges(sender="The Daily <daily>"), "@-sign"),
        (NewsletterChanges(sender="A <a@b.example>, B <b@c.example>"), "--from"),
        (NewsletterChanges(sender="The\r\nBcc: x <daily@news.example>"), "name"),
        (NewsletterChanges(sender="The Daily 🗞 <daily@news.example>"), "pictograph"),
        (NewsletterChanges(sender="The Daily <день@news.example>"), "SMTPUTF8"),
        (NewsletterChanges(reply_to="nobody"), "@-sign"),
        (NewsletterChanges(postal_address="  "), "postal address"),
        (NewsletterChanges(postal_address="a\x00b"), "postal address"),
        (NewsletterChanges(logo_url="http://news.example/logo.png"), "https"),
        (NewsletterChanges(logo_url="https://user@news.example/logo.png"), "https"),
        (NewsletterChanges(logo_url='https://news.example/"onload=x'), "https"),
        (NewsletterChanges(logo_url="https:///logo.png"), "https"),
        (NewsletterChanges(color="red"), "#"),
        (NewsletterChanges(color="#12345"), "#"),
    ],
)
def test_what_is_not_valid_is_refused(changes: NewsletterChanges, told: str) -> None:
    with pytest.raises((Refused, BadAddress, BadMessage), match=told):
        changed_profile(changes, changed_profile(GOOD))


@pytest.mark.parametrize("missing", ["title", "sender", "postal_address"])
def test_what_the_law_wants_may_not_be_missing(missing: str) -> None:
    with pytest.raises(Refused, match="needs a title"):
        changed_profile(replace(GOOD, **{missing: None}))


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_typed_is_one_line_or_refused(title: str, sender: str) -> None:
    try:
        found = changed_profile(replace(GOOD, title=title, sender=f"{sender} <daily@news.example>"))
    except MailerError:
        return
    assert found.title.isprintable()
    assert found.from_name.isprintable()
    assert found.title
    assert found.from_name


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    before = changed_profile(
        replace(GOOD, reply_to="desk@news.example", logo_url="https://news.example/l")
    )
    assert changed_profile(NewsletterChanges(), before) == before
    after = changed_profile(
        NewsletterChanges(reply_to="", logo_url="", closed=True, color="#ABCDEF"), before
    )
    assert after == replace(before, reply_to=None, logo_url=None, closed=True, color="#abcdef")
