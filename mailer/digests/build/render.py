"""An edition as a mail: HTML and plain text of the same articles, rendered once for all its readers.

What feeds and staff wrote is data: it is escaped and cut to a length, and never compiled.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from typing import Final
from urllib.parse import SplitResult, urlsplit

import css_inline
from markupsafe import Markup

from mailer.digests.build.editions import Render
from mailer.digests.build.excerpt import excerpt, on_one_line, paragraphs, shorten
from mailer.digests.editing.introduction import Intro
from mailer.digests.schedules.calendar import Slot
from mailer.errors import BadTemplate, MessageTooLong
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.field import printable
from mailer.message.look import Look
from mailer.message.marker import AtSending, ReaderField, field_word, new_marker
from mailer.models import Article, Edits, Newsletter
from mailer.templating.templates import Templates

_SUBJECT_LENGTH: Final = 120
_TITLE_LENGTH: Final = 160
_NAME_LENGTH: Final = 80
_PREHEADER_LENGTH: Final = 140
MAX_HTML_BYTES: Final = 98_000
"""Some mail programs cut a part off at about 100 KB, and with it the way to leave; readers' own links
are not counted here."""

_LEAD_SUMMARY: Final = 420
_STORY_SUMMARY: Final = 280

# The account with which publishing systems begin: nobody's name.
_NOBODY: Final = frozenset({"admin", "administrator"})

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_INLINER: Final = css_inline.CSSInliner(
    # The default reads files and the network.
    load_remote_stylesheets=False,
    # What cannot be inlined stays: dark colours, narrow screens, Outlook's attributes.
    keep_style_tags=True,
)


@dataclass(frozen=True)
class Story:
    """An article as a digest needs it.

    Args:
        summary_html: sanitised.
        published_at: aware UTC.
    """

    article_id: int
    title: str
    url: str
    summary_html: str
    author: str | None
    image_url: str | None
    published_at: datetime

    @classmethod
    def of(cls, article: Article) -> "Story":
        """The piece that `article` is."""
        return cls(
            article_id=article.id,
            title=article.title,
            url=article.url,
            summary_html=article.summary_html,
            author=article.author,
            image_url=article.image_url,
            published_at=article.published_at,
        )

    def as_headline(self) -> "Story":
        """The piece cut to its title, or to how it begins where it has none."""
        title = self.title or " ".join(excerpt(self.summary_html, _TITLE_LENGTH))
        return replace(self, title=title, summary_html="", author=None, image_url=None)


@dataclass(frozen=True)
class PrintedStory:
    """A piece as the templates see it: plain texts of a bearable length, and checked URLs."""

    title: str
    url: str
    paragraphs: tuple[str, ...]
    author: str
    image_url: str | None
    day: date


def edition_renderer(
    templates: Templates,
    *,
    base_url: str,
    publisher: str | None,
    privacy_url: str | None,
    random: Callable[[int], bytes],
) -> Render:
    """What a build renders its editions with, made from what an installation decides once.

    Args:
        base_url: what links to our own pages start with.
        random: gives that many random bytes.
    """

    def render(
        newsletter: Newsletter,
        slot: Slot,
        articles: Sequence[Article],
        more: int,
        edits: Edits | None = None,
        headlines: Collection[int] = (),
    ) -> Content:
        return render_edition(
            templates,
            look=Look.of(newsletter, publisher=publisher, privacy_url=privacy_url),
            pieces=[
                piece.as_headline() if piece.article_id in headlines else piece
                for piece in map(Story.of, articles)
            ],
            more_count=more,
            slot_date=slot.local.date(),
            zone=slot.local.tzinfo,
            base_url=base_url,
            random=random,
            subject=None if edits is None else edits.subject,
            intro=intro_of(edits),
        )

    return render


def intro_of(edits: Edits | None) -> Intro | None:
    """The introduction that staff wrote, if they wrote one."""
    if edits is None or edits.intro_html is None:
        return None
    return Intro(edits.intro_html, edits.intro_text or "")


def render_edition(
    templates: Templates,
    *,
    look: Look,
    pieces: Sequence[Story],
    more_count: int,
    slot_date: date,
    zone: tzinfo | None,
    base_url: str,
    random: Callable[[int], bytes],
    subject: str | None = None,
    intro: Intro | None = None,
) -> Content:
    """The content of an edition.

    Args:
        pieces: the lead first; none in a letter, which has an introduction instead.
        more_count: how many more there would have been, which readers find on the site.
        slot_date: the slot's date in the schedule's zone.
        zone: the schedule's zone, in which days of publication are told.
        subject: what staff wrote in place of the one that the template makes.
        intro: what staff wrote above the articles.

    Raises:
        MessageTooLong: the HTML is longer than `MAX_HTML_BYTES`.
        BadMessage: no mail can be made of it for another reason.
        BadTemplate: a template cannot be rendered.
    """
    marker = new_marker(random)
    context: dict[str, object] = {
        "look": look,
        "preheader": _preheader(pieces, intro),
        "date": slot_date,
        # Sanitised when staff typed it in.
        "intro_html": Markup(intro.html) if intro else None,  # noqa: S704
        "intro_text": intro.text if intro else None,
        "lead": (_story(pieces[0], zone, _LEAD_SUMMARY, look) if pieces else None),
        "stories": [_story(piece, zone, _STORY_SUMMARY, look) for piece in pieces[1:]],
        "more_count": more_count,
        "site_url": _site(pieces),
        "logo_url": _image(look.logo_url),
        "preferences_url": f"{base_url}/preferences",
        "greeting": AtSending(field_word(marker, ReaderField.GREETING)),
        "unsubscribe_url": AtSending(field_word(marker, ReaderField.UNSUBSCRIBE)),
    }
    subject = _subject(
        subject or templates.render("mail/digest.subject.txt", look.language, context)
    )
    context["subject"] = subject
    html = _INLINER.inline(templates.render("mail/digest.html", look.language, context))
    size = len(html.encode(errors="replace"))
    if size > MAX_HTML_BYTES:
        raise MessageTooLong(
            f"the HTML of the digest has {size} bytes, and mail programs cut off what is longer than "
            f"{MAX_HTML_BYTES}; shorten the introduction, or mend mail/digest.html"
        )
    content = Content(
        language=look.language,
        from_name=look.from_name,
        from_address=look.from_address,
        reply_to=look.reply_to,
        subject=subject,
        html=html,
        text=templates.render("mail/digest.txt", look.language, context),
        marker=marker,
    )
    # What no mail can be made of is refused now, before it is frozen, and not reader by reader.
    compile_mail(content)
    return content


def _subject(rendered: str) -> str:
    """What the template made, on one line of a bearable length."""
    subject = shorten(printable(rendered), _SUBJECT_LENGTH)
    if not subject:
        raise BadTemplate("mail/digest.subject.txt makes no text; mend the template")
    return subject


def _preheader(pieces: Sequence[Story], intro: Intro | None) -> str:
    """What mail programs show beside the subject: what else is in the mail."""
    if not pieces:
        return shorten(intro.text if intro else "", _PREHEADER_LENGTH)
    others = [on_one_line(piece.title) for piece in pieces[1:]]
    text = " · ".join(others) or " ".join(paragraphs(pieces[0].summary_html))
    return shorten(text, _PREHEADER_LENGTH)


def _story(piece: Story, zone: tzinfo | None, longest: int, look: Look) -> PrintedStory:
    texts = excerpt(piece.summary_html, longest)
    return PrintedStory(
        # A piece without a title is known by how it begins, and its link needs words.
        title=shorten(piece.title or " ".join(texts) or piece.url, _TITLE_LENGTH),
        url=piece.url,
        paragraphs=texts,
        author=shorten(_byline(piece, look), _NAME_LENGTH),
        image_url=_image(piece.image_url) if look.pictures else None,
        day=piece.published_at.astimezone(zone).date(),
    )


def _byline(piece: Story, look: Look) -> str:
    """Who wrote the piece; nothing where that is nobody in particular, or the site itself."""
    author = on_one_line(piece.author or "")
    parts = _parts(piece.url)
    host = ((parts and parts.hostname) or "").removeprefix("www.")
    site = {look.title.casefold(), host, f"www.{host}"}
    return "" if author.casefold() in _NOBODY | site else author


def _image(url: str | None) -> str | None:
    """`url` where mail programs load it: absolute https, or from this machine, as the demo does."""
    parts = None if url is None else _parts(url)
    if parts is None or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        return None
    return url


def _site(pieces: Sequence[Story]) -> str | None:
    """The address of the site where all the pieces are, or None where they are on several."""
    parts = [_parts(piece.url) for piece in pieces]
    sites = {part and f"{part.scheme}://{part.netloc}/" for part in parts}
    return sites.pop() if len(sites) == 1 else None


def _parts(url: str) -> SplitResult | None:
    """The parts of an absolute URL of the web, None where it is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return parts if host and parts.scheme in {"http", "https"} else None
