"""Addresses of articles: made absolute and safe, and reduced to what tells two pieces apart. Pure.

A link that cannot be used is `None` here, never an error: one bad link must not cost a whole feed.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

MAX_URL_LENGTH: Final = 2000
"""Longer addresses are refused: PostgreSQL cannot keep them in a unique index."""

_LONGEST_READ: Final = 10 * MAX_URL_LENGTH
"""What is longer as it stands, with its blanks and escapes, is no address either."""

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_UNRESERVED: Final = "-._~"
_PATH_SAFE: Final = _UNRESERVED + "!$&'()*+,;=:@/%"
_QUERY_SAFE: Final = _PATH_SAFE + "?"

_TRACKING_PREFIXES: Final = ("utm_", "mtm_", "pk_", "matomo_", "hsa_", "_hs")
_TRACKING: Final = frozenset(
    [
        "fbclid",
        "gclid",
        "gclsrc",
        "dclid",
        "gbraid",
        "wbraid",
        "msclkid",
        "twclid",
        "ttclid",
        "li_fat_id",
        "igshid",
        "igsh",
        "yclid",
        "ysclid",
        "mc_cid",
        "mc_eid",
        "mkt_tok",
        "_ga",
        "_gl",
        "oly_anon_id",
        "oly_enc_id",
        "vero_id",
        "vero_conv",
        "wickedid",
        "s_cid",
        "at_medium",
        "at_campaign",
        "at_format",
        "srsltid",
        "wt_mc",
        "xtor",
        "cmpid",
        "ocid",
        "fb_action_ids",
        "fb_action_types",
        "fb_source",
        "ns_campaign",
        "ns_mchannel",
        "ns_source",
        "ns_linkname",
        "phpsessid",
        "jsessionid",
    ]
)

_HOST = re.compile(r"[a-z0-9._-]*[a-z0-9-]|\[[0-9a-f:.]+\]")
# An address that comes out as it went in, as most do; a test holds that.
_PLAIN = re.compile(
    r"https?://(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}"
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,=:@/?-]|%[0-9A-Fa-f]{2})+)?"
)
_SESSION_PATH = re.compile(r";jsessionid=[^/;]*", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What browsers take out of an address before they read it; a line that is broken inside an address
# goes on after blanks.
_INVISIBLE = re.compile(r"(?<![ \t])[ \t]*[\r\n]\s*|[\x00-\x1f\x7f]")


def absolute_url(link: str, base: str | None = None) -> str | None:
    """`link` as an absolute http or https address in ASCII, or None where it is none.

    A user name and password in it are left out.

    Args:
        link: as it stands in a feed, perhaps relative, perhaps with letters outside ASCII.
        base: what a relative link is resolved against; without it only absolute ones are used.
    """
    if len(link) <= MAX_URL_LENGTH and _PLAIN.fullmatch(link):
        return link
    if len(link) > _LONGEST_READ:
        return None
    # Escaped once too often: no address has such a parameter.
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
    # A user name hides where a link leads, and a password must stand in no table and no mail.
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
    """What identifies the piece at `url`: equal for all addresses under which it is linked.

    Scheme, `www.`, default port, fragment, sign-in data, a slash at the end of the path, and parameters
    for tracking and sessions do not count. The result is again an address, always with https, but it is
    made for comparing and not for linking. What is known was made by the same rule: whoever changes it
    brings a migration that makes the known ones anew.

    Args:
        url: an absolute address as `absolute_url` gives it.
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


def place(canonical: str) -> str:
    """The path and query of a canonical address, without its host; empty for a site's front page.

    It stays the same when a whole site moves to another host.
    """
    parts = urlsplit(canonical)
    return (parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")).strip("/")


def is_same_host(one: str, other: str) -> bool:
    """Whether two absolute addresses are on one host; `www.` in front does not count."""
    first, second = ((urlsplit(url).hostname or "").removeprefix("www.") for url in (one, other))
    return first == second


def _ascii_host(host: str) -> str:
    if ":" in host:
        # An IPv6 address is read without its brackets and written with them.
        return f"[{host.lower()}]"
    return host.encode("idna").decode("ascii").lower().rstrip(".")


def _escape(text: str, safe: str) -> str:
    return quote(_BARE_PERCENT.sub("%25", text), safe=safe)


def _normal_escapes(text: str) -> str:
    """Percent-escapes in capitals, and none for letters that need none (RFC 3986 section 6.2.2)."""

    def normal(match: re.Match[str]) -> str:
        character = unquote_to_bytes(match[0]).decode("latin-1")
        needless = character.isascii() and (character.isalnum() or character in _UNRESERVED)
        return character if needless else match[0].upper()

    return _ESCAPE.sub(normal, text)


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in _TRACKING or name.startswith(_TRACKING_PREFIXES)
