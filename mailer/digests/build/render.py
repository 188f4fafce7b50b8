"""Renders an edition: HTML and plain text of the same articles, once for all its readers.

Never uses what feeds and staff wrote as a template: it is data, which is escaped and cut to a length.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

import css_inline
from markupsafe import Markup

from mailer.digests.build.editions import Render
from mailer.digests.build.excerpt import excerpt, on_one_line, paragraphs, shorten
from mailer.digests.schedules.calendar import Slot
from mailer.errors import BadTemplate, MessageTooLong
from mailer.message.compose import compile_mail
from mailer.message.content import Content
from mailer.message.header_lines import printable
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField, SendTimeWord, field_word, new_marker
from mailer.models import Article, Edits, Newsletter
from mailer.templating.templates import Templates

_SUBJECT_LENGTH: Final = 120
_TITLE_LENGTH: Final = 160
_NAME_LENGTH: Final = 80
_PREHEADER_LENGTH: Final = 140
MAX_HTML_BYTES: Final = 98_000
"""Some mail programs cut a mail off at about 100 KB, and with its end the link to unsubscribe; readers' own
links are not counted here."""

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
    """What an edition needs of an article.

    Attributes:
        summary_html: sanitised.
        published_at: aware UTC.
    """

    id: int
    title: str
    url: str
    summary_html: str
    author: str | None
    image_url: str | None
    published_at: datetime

    @classmethod
    def of(cls, article: Article) -> "Story":
        """Take what an edition needs of this article."""
        return cls(**{field.name: getattr(article, field.name) for field in fields(cls)})

    def as_headline(self) -> "Story":
        """Cut the story to its title, or to how it begins if it has none."""
        title = self.title or " ".join(excerpt(self.summary_html, _TITLE_LENGTH))
        return replace(self, title=title, summary_html="", author=None, image_url=None)


@dataclass(frozen=True)
class PrintedStory:
    """A story as the templates see it: plain texts that are not too long, and checked URLs."""

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
    """Make the function that renders the editions of builds.

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
        stories = [
            story.as_headline() if story.id in headlines else story
            for story in map(Story.of, articles)
        ]
        look = Look.of(newsletter, publisher=publisher, privacy_url=privacy_url)
        return render_edition(
            templates, look, slot, stories, more, edits, base_url=base_url, random=random
        )

    return render


def render_edition(
    templates: Templates,
    look: Look,
    slot: Slot,
    stories: Sequence[Story],
    more_count: int,
    edits: Edits | None,
    *,
    base_url: str,
    random: Callable[[int], bytes],
) -> Content:
    """Render the content of an edition.

    Args:
        stories: the lead first; none in a letter, which has an introduction instead.
        more_count: how many more there would have been, which readers find on the site.
        edits: the subject and the introduction of staff, if they wrote any.

    Raises:
        MessageTooLong: the HTML is longer than `MAX_HTML_BYTES`.
        BadMessage: no mail can be made of it for another reason.
        BadTemplate: a template cannot be rendered.
    """
    marker = new_marker(random)
    intro_text = (edits and edits.intro_text) or ""
    context: dict[str, object] = {
        "look": look,
        "preheader": _preheader(stories, intro_text),
        "date": slot.local.date(),
        # Sanitised when staff typed it in.
        "intro_html": Markup(edits.intro_html) if edits and edits.intro_html else None,  # noqa: S704
        "intro_text": intro_text or None,
        "lead": _printed(stories[0], slot, _LEAD_SUMMARY, look) if stories else None,
        "stories": [_printed(story, slot, _STORY_SUMMARY, look) for story in stories[1:]],
        "more_count": more_count,
        "site_url": _site(stories),
        "logo_url": _image(look.logo_url),
        "preferences_url": f"{base_url}/preferences",
        "greeting": SendTimeWord(field_word(marker, ReaderField.GREETING)),
        "unsubscribe_url": SendTimeWord(field_word(marker, ReaderField.UNSUBSCRIBE)),
    }

    def rendered(name: str) -> str:
        return templates.render(f"mail/digest.{name}", look.language, context)

    subject = _subject((edits and edits.subject) or rendered("subject.txt"))
    context["subject"] = subject
    content = Content(
        language=look.language,
        from_name=look.from_name,
        from_address=look.from_address,
        reply_to=look.reply_to,
        subject=subject,
        html=_inlined(rendered("html")),
        text=rendered("txt"),
        marker=marker,
    )
    # What no mail can be made of is refused now, before it is frozen, and not reader by reader.
    compile_mail(content)
    return content


def _inlined(html: str) -> str:
    """Move the styles to the elements.

    Raises:
        MessageTooLong: mail programs would cut the HTML off.
    """
    html = _INLINER.inline(html)
    size = len(html.encode(errors="replace"))
    if size > MAX_HTML_BYTES:
        raise MessageTooLong(
            f"the HTML of the digest has {size} bytes, and mail programs cut off what is longer than "
            f"{MAX_HTML_BYTES}; shorten the introduction, or change mail/digest.html"
        )
    return html


def _subject(rendered: str) -> str:
    """Write what the template made on one line that is not too long.

    Raises:
        BadTemplate: it made nothing.
    """
    subject = shorten(printable(rendered), _SUBJECT_LENGTH)
    if not subject:
        raise BadTemplate("mail/digest.subject.txt produces no text; correct the template")
    return subject


def _preheader(stories: Sequence[Story], intro_text: str) -> str:
    """Write what mail programs show beside the subject: what else is in the mail."""
    if not stories:
        return shorten(intro_text, _PREHEADER_LENGTH)
    titles = [on_one_line(story.title) for story in stories[1:]]
    text = " · ".join(titles) or " ".join(paragraphs(stories[0].summary_html))
    return shorten(text, _PREHEADER_LENGTH)


def _printed(story: Story, slot: Slot, longest: int, look: Look) -> PrintedStory:
    texts = excerpt(story.summary_html, longest)
    return PrintedStory(
        # A story without a title is known by how it begins, and its link needs words.
        title=shorten(story.title or " ".join(texts) or story.url, _TITLE_LENGTH),
        url=story.url,
        paragraphs=texts,
        author=shorten(_byline(story, look), _NAME_LENGTH),
        image_url=_image(story.image_url) if look.pictures else None,
        day=story.published_at.astimezone(slot.local.tzinfo).date(),
    )


def _byline(story: Story, look: Look) -> str:
    """Name who wrote the story; nothing if that is nobody in particular, or the site itself."""
    author = on_one_line(story.author or "")
    parts = _parts(story.url)
    host = ((parts and parts.hostname) or "").removeprefix("www.")
    site = {look.title.casefold(), host, f"www.{host}"}
    return "" if author.casefold() in _NOBODY | site else author


def _image(url: str | None) -> str | None:
    """Return `url` if mail programs load it: absolute https, or from this machine, as in the demo."""
    parts = None if url is None else _parts(url)
    if parts is None or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        return None
    return url


def _site(stories: Sequence[Story]) -> str | None:
    """Return the address of the site where all the stories are, or None if they are on several."""
    parts = [_parts(story.url) for story in stories]
    sites = {part and f"{part.scheme}://{part.netloc}/" for part in parts}
    return sites.pop() if len(sites) == 1 else None


def _parts(url: str) -> SplitResult | None:
    """Split an absolute URL of the web; None if it is not one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return parts if host and parts.scheme in {"http", "https"} else None
