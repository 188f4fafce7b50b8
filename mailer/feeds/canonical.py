"""Makes links absolute and safe, and reduces them to canonical URLs, which identify articles. Pure.

Never raises for a bad link, but returns None: one bad link must not cost a whole feed.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

MAX_URL_LENGTH: Final = 2000
"""Longer addresses are refused: PostgreSQL cannot index them."""

_LONGEST_READ: Final = 10 * MAX_URL_LENGTH
"""No address is longer, even with its blanks and escapes."""

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_UNRESERVED: Final = "-._~"
_PATH_SAFE: Final = _UNRESERVED + "!$&'()*+,;=:@/%"
_QUERY_SAFE: Final = _PATH_SAFE + "?"

_TRACKING_PREFIXES: Final = ("utm_", "mtm_", "pk_", "matomo_", "hsa_", "_hs")
_TRACKING_NAMES: Final = """
    fbclid gclid gclsrc dclid gbraid wbraid msclkid twclid ttclid li_fat_id igshid igsh yclid
    ysclid mc_cid mc_eid mkt_tok _ga _gl oly_anon_id oly_enc_id vero_id vero_conv wickedid s_cid
    at_medium at_campaign at_format srsltid wt_mc xtor cmpid ocid fb_action_ids fb_action_types
    fb_source ns_campaign ns_mchannel ns_source ns_linkname phpsessid jsessionid
"""
_TRACKING: Final = frozenset(_TRACKING_NAMES.split())

_HOST = re.compile(r"[a-z0-9._-]*[a-z0-9-]|\[[0-9a-f:.]+\]")
# Most addresses need no change. A test holds that these come out unchanged.
_PLAIN = re.compile(
    r"https?://(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}"
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,=:@/?-]|%[0-9A-Fa-f]{2})+)?"
)
_SESSION_PATH = re.compile(r";jsessionid=[^/;]*", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What browsers remove from an address before they read it. A line broken inside an address continues after
# blanks.
_INVISIBLE = re.compile(r"(?<![ \t])[ \t]*[\r\n]\s*|[\x00-\x1f\x7f]")


def absolute_url(link: str, base: str | None = None) -> str | None:
    """Turn a link into an absolute http or https address in ASCII, or None if it is none.

    A user name and password are removed.

    Args:
        link: as in the feed, perhaps relative, perhaps not ASCII.
        base: what a relative link is resolved against; without it only absolute ones are used.
    """
    if len(link) <= MAX_URL_LENGTH and _PLAIN.fullmatch(link):
        return link
    if len(link) > _LONGEST_READ:
        return None
    # `&amp;` was escaped once too often: no address has such a parameter.
    bare = _INVISIBLE.sub("", link).strip().replace("&amp;", "&")
    if not bare:
        return None
    try:
        joined = urljoin(base or "", bare)
        parts = urlsplit(joined)
        host = _ascii_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORT or not _HOST.fullmatch(host):
        return None
    # A user name hides where a link leads, and a password must not get into tables and mails.
    netloc = host
    if port is not None and port != _DEFAULT_PORT[parts.scheme]:
        netloc += f":{port}"
    url = urlunsplit(
        (
            parts.scheme,
            netloc,
            _escape(parts.path, _PATH_SAFE),
            _escape(parts.query, _QUERY_SAFE),
            _escape(parts.fragment, _QUERY_SAFE),
        )
    )
    return url if url.isascii() and len(url) <= MAX_URL_LENGTH else None


def canonical_url(url: str) -> str:
    """Return what identifies the article at `url`: equal for all addresses that link to it.

    Ignores scheme, `www.`, default port, fragment, sign-in data, a slash at the end of the path, and
    parameters for tracking and sessions. The result is an https address, but made for comparing and not for
    linking. The database holds results of this rule, so a change of it needs a migration.

    Args:
        url: an absolute address from `absolute_url`.
    """
    parts = urlsplit(url)
    host = parts.netloc.lower().removeprefix("www.")
    for port in _DEFAULT_PORT.values():
        host = host.removesuffix(f":{port}")
    query = "&".join(
        _normal_escapes(pair) for pair in parts.query.split("&") if pair and not _is_tracking(pair)
    )
    path = _SESSION_PATH.sub("", _normal_escapes(parts.path)).rstrip("/") or "/"
    return urlunsplit(("https", host, path, query, ""))


def path_of(canonical: str) -> str:
    """Return the path and query of a canonical URL, empty for a front page.

    It stays the same when a site moves to another host.
    """
    parts = urlsplit(canonical)
    return (parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")).strip("/")


def host_of(url: str) -> str:
    """Return the host of an absolute address, without `www.`."""
    return (urlsplit(url).hostname or "").removeprefix("www.")


def is_same_host(first: str, second: str) -> bool:
    """Tell whether two absolute addresses are on one host, regardless of `www.`."""
    return host_of(first) == host_of(second)


def _ascii_host(host: str) -> str:
    if ":" in host:
        # urlsplit removes the brackets of an IPv6 address.
        return f"[{host.lower()}]"
    return host.encode("idna").decode("ascii").lower().rstrip(".")


def _escape(text: str, safe: str) -> str:
    return quote(_BARE_PERCENT.sub("%25", text), safe=safe)


def _normal_escapes(text: str) -> str:
    """Write percent-escapes in capitals, and decode needless ones (RFC 3986 section 6.2.2)."""

    def normal(match: re.Match[str]) -> str:
        character = unquote_to_bytes(match[0]).decode("latin-1")
        needless = character.isascii() and (character.isalnum() or character in _UNRESERVED)
        return character if needless else match[0].upper()

    return _ESCAPE.sub(normal, text)


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in _TRACKING or name.startswith(_TRACKING_PREFIXES)
