"""Sanitises strangers' markup: to summaries with a few plain elements, and to plain text. Pure.

Never lets through a scheme but http, https and mailto, an attribute but `href`, or an image: a mail shows
the lead image in a place of its own.
"""

import html
import re
from typing import Final

import nh3

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.pictures import is_emoji
from mailer.text.untrusted import without_bidi_controls

SUMMARY_LENGTH: Final = 1200
"""Characters of text in a summary; a mail with twenty of them must not be cut off by mail programs."""

_MARKUP_LENGTH: Final = 12_000
"""Characters of markup read for a summary: some parsing costs the square of its length."""

_MARKUP_AT_FIRST: Final = 5_000
"""Characters of markup that nearly always hold enough text; if they do not, more are read."""

_TITLE_LENGTH: Final = 2000
_EMPTY_LEVELS: Final = 3

_KEPT: Final = frozenset(["p", "a", "em", "strong", "ul", "ol", "li", "blockquote", "br"])
_BLOCKS: Final = (
    "div section article aside header footer main figure figcaption h1 h2 h3 h4 h5 h6 pre table caption "
    "tr address"
)
_RENAMED: Final = {"b": "strong", "i": "em", "dl": "ul", "dt": "li", "dd": "li"} | dict.fromkeys(
    _BLOCKS.split(), "p"
)
_EMBEDDED: Final = frozenset(["object", "embed", "form", "button", "audio", "video", "canvas"])
_TEXTLESS: Final = "script style iframe noscript template svg math select textarea title"
_NO_TEXT: Final = frozenset(_TEXTLESS.split())
_DROPPED_WHOLE: Final = _NO_TEXT | _EMBEDDED
"""Elements dropped with their text from summaries. In titles an unclosed one of `_EMBEDDED` would take the
rest of the headline with it, so only `_NO_TEXT` goes there."""

_NO_ATTRIBUTES: Final[dict[str, set[str]]] = {"*": set()}
"""Without this the sanitiser allows `title` and `lang` on every element."""

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
# A single plain space does not match: nearly all spaces are one.
_SPACES = re.compile(r"(?:[^\S ]| (?=\s|&nbsp;)|&nbsp;)(?:\s|&nbsp;)*")
_LOOSE_SPACE = re.compile(r"(<(?:p|br)>)\s+|(?<!\s)\s+(?=<(?:/?(?:p|ul|ol|li|blockquote)|br)>)")
_TAG_OR_TEXT = re.compile(r"<[^>]*(?:>|\Z)|&\w+;|[^<&]+|[<&]")

# Text that starts with an escaped element is markup that was escaped once too often.
_ESCAPED_TWICE = re.compile(
    r"\s*&lt;(?:p|div|a|img|span|table|h[1-6]|ul|ol|br|b|strong|em|i|figure|blockquote)(?:\s.*?|\s*/)?&gt;",
    re.I | re.S,
)
_NEEDS_PARSING = re.compile("[<>&\xa0\ufeff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INLINE_DATA = re.compile(r"data:[\w/+.;=-]{0,100},[\w+/=%]{200,}")
# A decimal reference may lack its semicolon: `70&#39s` is common, and browsers read it.
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
    """Remove the control characters and lone surrogates that databases and mails refuse."""
    return _CONTROL.sub("", text)


def _readable(markup: str) -> str:
    """Cut `markup` to the length that is read; images inlined as data do not count."""
    return without_bidi_controls(clean_text(_INLINE_DATA.sub("", markup))[:_MARKUP_LENGTH])


def without_markup(markup: str) -> str:
    """Return the text of HTML on one line; elements that separate words become spaces."""
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
    """Clean a title that claims to be plain text.

    Some feeds put HTML there all the same. Only what is clearly an element goes: a lone `<br>` or `5 < 6`
    is what the headline is about. Entities that XML left over are decoded, except angle brackets: a second
    decoding must never turn text into markup.

    Args:
        decode: False if the format says that entities and tags are meant literally.
    """
    text = clean_text(title)[:_TITLE_LENGTH]
    if "<" in text and (_CLEARLY_TAG.search(text) if decode else _has_pair_of_tags(text)):
        return without_markup(text)
    return one_line(_ENTITY.sub(_letter, text) if decode and "&" in text else text)


def _has_pair_of_tags(text: str) -> bool:
    """Tell whether a text has an opening tag and its closing one; a lone tag is what the text is about."""
    closed = {tag[1].lower(): tag.start() for tag in _CLOSING.finditer(text)}
    return any(tag.end() <= closed.get(tag[1].lower(), 0) for tag in _OPENING.finditer(text))


def _letter(entity: re.Match[str]) -> str:
    letter = html.unescape(entity[0])
    return entity[0] if letter in {"<", ">"} else letter


def one_line(text: str) -> str:
    """Replace each run of white space by one space."""
    # This runs for each part of each entry, and nearly all texts need no change.
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(clean_text(text).split())


def summarise(markup: str, base: str | None) -> str:
    """Shorten and sanitise an entry's HTML for a digest.

    Args:
        base: what relative links are resolved against; without it they lose their target.
    """
    readable = _readable(markup)
    if "&lt;" in readable and "<" not in readable and _ESCAPED_TWICE.match(readable):
        readable = html.unescape(readable)
    if len(readable) <= SUMMARY_LENGTH and not _NEEDS_PARSING.search(readable):
        # Many feeds give plain words, which need no parsing. A test holds that the result is the same.
        return " ".join(readable.split())
    summary, is_cut = _summary(readable[:_MARKUP_AT_FIRST], base)
    if not is_cut and len(readable) > _MARKUP_AT_FIRST:
        summary, _ = _summary(readable, base)
    return summary


def _summary(markup: str, base: str | None) -> tuple[str, bool]:
    """Return the summary, and whether there was more text than fits into one."""

    def resolved(_tag: str, attribute: str, value: str) -> str | None:
        if attribute != "href":
            return value
        if value.strip().lower().startswith("mailto:"):
            return "%20".join(value.split())
        return absolute_url(value, base)

    # The first pass keeps relative links, to resolve them; the second denies those that are left.
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
        # Character references are decoded now, those of control characters among them.
        first = without_bidi_controls(clean_text(first))
    without_images = _IMAGE.sub(_emoji, first)
    renamed = _RENAMED_TAG.sub(lambda tag: f"<{tag[1]}{_RENAMED[tag[2]]}>", without_images)
    return _shortened(_kept(_CELL_END.sub(" ", renamed)))


def _kept(markup: str) -> str:
    """Run the second pass: nest renamed elements properly again, and drop empty ones."""
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
    """Cut `markup` at a word after `SUMMARY_LENGTH` visible characters; also return whether it was cut."""
    shown = at = 0
    for match in _TAG_OR_TEXT.finditer(markup):
        if match[0].startswith("<") and len(match[0]) > 1:
            continue
        length = 1 if match[0].startswith("&") else len(match[0])
        if shown + length > SUMMARY_LENGTH:
            at = match.start() + (SUMMARY_LENGTH - shown if length > 1 else 0)
            break
        shown += length
    else:
        return markup, False
    words = markup[:at].rstrip()
    if not markup[at : at + 1].isspace() and length > 1:
        cut = max(words.rfind(" ", match.start()), words.rfind("\n", match.start()))
        words = words[:cut] if cut > match.start() else words
    # The sanitiser closes what the cut left open.
    return _kept(words.rstrip() + " …"), True


def _emoji(image: re.Match[str]) -> str:
    """Replace an image by its `alt` text if it is an emoji, else by a space."""
    attributes = dict(_ATTRIBUTE.findall(image[1]))
    shown = {name: html.unescape(value) for name, value in attributes.items()}
    return html.escape(shown.get("alt", ""), quote=False) if is_emoji(shown) else " "
