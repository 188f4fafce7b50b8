"""Markup of strangers, made harmless: summaries with a few plain elements, and texts with none. Pure.

Nothing that comes out has another scheme than http, https or mailto, an attribute but `href`, or an
image: a mail shows the lead image in its own place.
"""

import html
import re
from typing import Final

import nh3

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.pictures import is_emoji
from mailer.text.untrusted import without_bidi_controls

SUMMARY_LENGTH: Final = 1200
"""Characters of text in a summary; twenty of them must stay below what mail programs cut off."""

_MARKUP_LENGTH: Final = 12_000
"""Characters of markup that are read for a summary: some parsing costs the square of its length."""

_MARKUP_AT_FIRST: Final = 5_000
"""Characters of markup that hold enough text nearly always; more are read where they do not."""

_TITLE_LENGTH: Final = 2000
_EMPTY_LEVELS: Final = 3

_KEPT: Final = frozenset({"p", "a", "em", "strong", "ul", "ol", "li", "blockquote", "br"})
_RENAMED: Final = {"b": "strong", "i": "em", "dl": "ul", "dt": "li", "dd": "li"} | dict.fromkeys(
    [
        "div",
        "section",
        "article",
        "aside",
        "header",
        "footer",
        "main",
        "figure",
        "figcaption",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "table",
        "caption",
        "tr",
        "address",
    ],
    "p",
)
_DROPPED_WHOLE: Final = frozenset(
    [
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "noscript",
        "template",
        "svg",
        "math",
        "form",
        "select",
        "textarea",
        "button",
        "audio",
        "video",
        "canvas",
        "title",
    ]
)

# An object or a form that is never closed would take the rest of a headline with it.
_NO_TEXT: Final = _DROPPED_WHOLE - {"object", "embed", "form", "button", "audio", "video", "canvas"}
_NO_ATTRIBUTES: Final[dict[str, set[str]]] = {"*": set()}
"""Without this the sanitiser lets `title` and `lang` through on every element."""

# The sanitiser's own output is matched, in which attributes are always quoted.
_ATTRIBUTES = r'(?:\s[\w-]+="[^"]*")*'
_RENAMED_TAG = re.compile(rf"<(/?)({'|'.join(_RENAMED)})(?={_ATTRIBUTES}>){_ATTRIBUTES}>")
_CELL_END = re.compile(r"</t[dh]>")
_IMAGE = re.compile(rf"<img({_ATTRIBUTES})\s*/?>")
_ATTRIBUTE = re.compile(r'\s([\w-]+)="([^"]*)"')
_EMPTY = re.compile(r"<(p|li|em|strong|a|ul|ol|blockquote)(?: [^<>]*)?>(?:\s|&nbsp;|<br>)*</\1>")
_LOOSE_BREAKS = re.compile(
    r"(?<!\s)(?<!<br>)(?:\s*<br>)+\s*(?=</(?:p|li|blockquote)>|$)|(?<=<p>)(?:\s*<br>)+"
)
# What is one plain space already is passed over: that is nearly all there is.
_SPACES = re.compile(r"(?:[^\S ]| (?=\s|&nbsp;)|&nbsp;)(?:\s|&nbsp;)*")
_LOOSE_SPACE = re.compile(r"(<(?:p|br)>)\s+|(?<!\s)\s+(?=<(?:/?(?:p|ul|ol|li|blockquote)|br)>)")
_PIECE = re.compile(r"<[^>]*(?:>|\Z)|&\w+;|[^<&]+|[<&]")

# Text that begins with an element was markup before it was escaped once too often.
_ESCAPED_TWICE = re.compile(
    r"\s*&lt;(?:p|div|a|img|span|table|h[1-6]|ul|ol|br|b|strong|em|i|figure|blockquote)(?:\s.*?|\s*/)?&gt;",
    re.I | re.S,
)
_NEEDS_PARSING = re.compile("[<>&\xa0\ufeff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INLINE_DATA = re.compile(r"data:[\w/+.;=-]{0,100},[\w+/=%]{200,}")
# A decimal reference ends without its semicolon, too: `70&#39s` is often met, and browsers read it.
_ENTITY = re.compile(r"&(?:#\d{1,7};?|#[xX][0-9a-fA-F]{1,6};|\w{2,32};)")
_ANY_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)\b[^<>]*>")
_CLEARLY_TAG = re.compile(
    r"</(?:a|abbr|b|big|br|cite|code|div|em|font|h[1-6]|i|li|p|s|script|small|span|strong|style|sub|sup"
    r"|svg|tt|u|ul)\s*>"
    r"|<(?:br|hr|wbr)\s*/>|(?<=[\w.,;:!?…-])<br>|<br>(?=\w)|<[a-z][a-z0-9]*[\s/][^<>=]*=[^<>]*>",
    re.IGNORECASE,
)
_PAIRED = (
    "a|abbr|b|big|cite|code|em|font|h[1-6]|i|p|s|script|small|span|strong|style|sub|sup|svg|tt|u"
)
_OPENING = re.compile(rf"<({_PAIRED})(?:\s[^<>]*)?>", re.IGNORECASE)
_CLOSING = re.compile(rf"</({_PAIRED})\s*>", re.IGNORECASE)


def clean_text(text: str) -> str:
    """`text` without the control characters and broken halves that databases and mails refuse."""
    return _CONTROL.sub("", text)


def _readable(markup: str) -> str:
    """As much of `markup` as is read; images that stand in it as letters do not count."""
    return without_bidi_controls(clean_text(_INLINE_DATA.sub("", markup))[:_MARKUP_LENGTH])


def as_html(text: str) -> str:
    """Plain text as HTML that shows it: an empty line begins a paragraph, a line end is a break."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(
        f"<p>{html.escape(paragraph, quote=False).replace(chr(10), '<br>')}</p>"
        for paragraph in paragraphs
        if paragraph.strip()
    )


def without_markup(markup: str) -> str:
    """The text of HTML on one line: elements become spaces where they part words, entities letters."""
    kept = nh3.clean(
        _readable(markup),
        tags={"br", "p", "div", "li", "td", "h1", "h2", "h3", "wbr"},
        clean_content_tags=set(_NO_TEXT),
        attributes=_NO_ATTRIBUTES,
        link_rel=None,
    )
    parted = _ANY_TAG.sub(lambda tag: "" if tag[1] == "wbr" else " ", kept)
    return one_line(html.unescape(parted))


def title_text(title: str, *, decode: bool = True) -> str:
    """A title that claims to be plain text, as plain text on one line.

    Some feeds put HTML there all the same. Elements go where it is clear that they are some: a lone
    `<br>` or `5 < 6` is what the headline is about. Entities that XML left over are decoded, but for
    angle brackets: a second decoding must never make markup out of text.

    Args:
        decode: False where the format says that what looks like an entity or a tag is meant literally.
    """
    text = clean_text(title)[:_TITLE_LENGTH]
    if "<" in text and (_CLEARLY_TAG.search(text) if decode else _has_pair_of_tags(text)):
        return without_markup(text)
    return one_line(_ENTITY.sub(_letter, text) if decode and "&" in text else text)


def _has_pair_of_tags(text: str) -> bool:
    """Whether an element stands in a text that says it has none; one tag alone is what it is about."""
    closed = {tag[1].lower(): tag.start() for tag in _CLOSING.finditer(text)}
    return any(tag.end() <= closed.get(tag[1].lower(), 0) for tag in _OPENING.finditer(text))


def _letter(entity: re.Match[str]) -> str:
    letter = html.unescape(entity[0])
    return entity[0] if letter in {"<", ">"} else letter


def one_line(text: str) -> str:
    """`text` with each run of white space as one space."""
    # Nearly all texts are so already, and this is asked of each part of each entry.
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(clean_text(text).split())


def summarise(markup: str, base: str | None) -> str:
    """What is kept of a piece's HTML in a digest.

    Args:
        markup: HTML by strangers.
        base: what relative links are resolved against; without it they lose their target.
    """
    readable = _readable(markup)
    if "&lt;" in readable and "<" not in readable and _ESCAPED_TWICE.match(readable):
        readable = html.unescape(readable)
    if len(readable) <= SUMMARY_LENGTH and not _NEEDS_PARSING.search(readable):
        # Plain words, as many feeds give them, come out as they go in; a test holds that.
        return " ".join(readable.split())
    summary, is_cut = _summary(readable[:_MARKUP_AT_FIRST], base)
    if not is_cut and len(readable) > _MARKUP_AT_FIRST:
        summary, _ = _summary(readable, base)
    return summary


def _summary(markup: str, base: str | None) -> tuple[str, bool]:
    """The summary, and whether there was more text than fits into one."""

    def resolved(_tag: str, attribute: str, value: str) -> str | None:
        if attribute != "href":
            return value
        if value.strip().lower().startswith("mailto:"):
            return "%20".join(value.split())
        return absolute_url(value, base)

    # Relative links are let through to be resolved; the second pass denies what is left of them.
    first = nh3.clean(
        markup,
        tags=set(_KEPT | _RENAMED.keys() | {"img", "td", "th"}),
        clean_content_tags=set(_DROPPED_WHOLE),
        attributes=_NO_ATTRIBUTES | {"a": {"href"}, "img": {"alt", "class"}},
        attribute_filter=resolved,
        url_schemes={"http", "https", "mailto"},
        url_relative="pass_through",
        link_rel=None,
    )
    if "&#" in markup:
        # References are letters now, control characters among them.
        first = without_bidi_controls(clean_text(first))
    without_images = _IMAGE.sub(_emoji, first)
    renamed = _RENAMED_TAG.sub(lambda tag: f"<{tag[1]}{_RENAMED[tag[2]]}>", without_images)
    return _shortened(_kept(_CELL_END.sub(" ", renamed)))


def _kept(markup: str) -> str:
    """The second pass: elements that were renamed are nested properly again, empty ones go."""
    kept = nh3.clean(
        markup,
        tags=set(_KEPT),
        attributes=_NO_ATTRIBUTES | {"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel=None,
    )
    for _ in range(_EMPTY_LEVELS):
        before = kept
        kept = _SPACES.sub(" ", _EMPTY.sub("", kept))
        if "<br>" in kept:
            kept = _LOOSE_BREAKS.sub("", kept)
        if kept == before:
            break
    return _LOOSE_SPACE.sub(lambda loose: loose[1] or "", kept.strip())


def _shortened(markup: str) -> tuple[str, bool]:
    """`markup` cut at a word once it shows `SUMMARY_LENGTH` characters, and whether it was cut."""
    shown = at = 0
    for piece in _PIECE.finditer(markup):
        if piece[0].startswith("<") and len(piece[0]) > 1:
            continue
        length = 1 if piece[0].startswith("&") else len(piece[0])
        if shown + length > SUMMARY_LENGTH:
            at = piece.start() + (SUMMARY_LENGTH - shown if length > 1 else 0)
            break
        shown += length
    else:
        return markup, False
    words = markup[:at].rstrip()
    if not markup[at : at + 1].isspace() and length > 1:
        cut = max(words.rfind(" ", piece.start()), words.rfind("\n", piece.start()))
        words = words[:cut] if cut > piece.start() else words
    # The sanitiser closes what the cut left open.
    return _kept(words.rstrip() + " …"), True


def _emoji(image: re.Match[str]) -> str:
    """What stands for an image in the text: its letters where it is an emoji, else nothing."""
    attributes = dict(_ATTRIBUTE.findall(image[1]))
    shown = {name: html.unescape(value) for name, value in attributes.items()}
    return html.escape(shown.get("alt", ""), quote=False) if is_emoji(shown) else " "
