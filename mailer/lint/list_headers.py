"""Judges the headers that make a mail a digest, and whether other mails do without them."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mailer.lint.headers import ATOM
from mailer.lint.parse import Field, Part
from mailer.lint.rules import Problem

_ONLY_IN_DIGESTS = (
    *("x-mailer-digest", "list-unsubscribe", "list-unsubscribe-post"),
    *("list-post", "precedence", "feedback-id"),
)
_URL_HEADERS = ("list-unsubscribe", "list-help", "list-owner", "list-archive", "list-subscribe")
_LONGEST_LIST_ID = 255
_LIST_ID = re.compile(rf"(?:[^<>]*\s)?<{ATOM}(?:\.{ATOM})+>")
_URLS = re.compile(r"<[!-;=?-~]+>(?:\s*,\s*<[!-;=?-~]+>)*")
_CUT_URL = re.compile(r"<[^<>\s]*\s[^<>]*>")
_FEEDBACK_ID = re.compile(r"[^:]*:[^:]*:[^:]*:[^:\s]{5,15}")


def judge_list_headers(mail: Part) -> Iterator[Problem]:
    """List the problems with List-*, Auto-Submitted, Precedence and Feedback-ID."""
    for field in mail.get_all(*_URL_HEADERS):
        if _CUT_URL.search(field.value):
            yield Problem("list-url", f"a URL in {field.name} has a blank or a fold in it")
        elif not _URLS.fullmatch(field.value) and "=?" not in field.value:
            yield Problem("list-url", f"{field.name} is not <URL>, <URL>: {field.value[:60]!r}")
    automatic, list_id = mail.value("auto-submitted"), mail.value("list-id")
    if mail.get_all(*_ONLY_IN_DIGESTS):
        yield from _digest(mail)
    elif automatic is None:
        yield Problem("auto-submitted", "this is not a digest, and has no Auto-Submitted")
    if list_id is not None and not _LIST_ID.fullmatch(list_id):
        yield Problem("list-id", f"{list_id!r} is not `phrase <label.domain>`")
    elif len(list_id or "") > _LONGEST_LIST_ID:
        yield Problem("list-id", f"it has {len(list_id or '')} octets")
    if automatic is not None and automatic.lower() != "auto-generated":
        yield Problem("auto-submitted", f"{automatic!r} is not auto-generated")


def is_safe_url(url: str, *schemes: str) -> bool:
    """Tell whether `url` is absolute and https, or of one of `schemes`; http only to loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme in schemes or (parts.scheme == "http" and _is_loopback(host or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(mail: Part) -> Iterator[Problem]:
    if mail.value("list-id") is None:
        yield Problem("list-id", "this is a digest, but has no List-Id")
    unsubscribe = mail.get_all("list-unsubscribe")
    if unsubscribe:
        yield from _unsubscribe(unsubscribe[0])
    else:
        yield Problem("list-unsubscribe", "this is a digest, but has no List-Unsubscribe")
    post = mail.value("list-unsubscribe-post")
    if post != "List-Unsubscribe=One-Click":
        yield Problem("list-unsubscribe-post", f"it is {post!r}")
    may_post = mail.value("list-post")
    if may_post is not None and may_post.upper() != "NO":
        yield Problem("list-post", f"{may_post!r} is not NO")
    precedence = mail.value("precedence")
    if precedence is not None and precedence.lower() not in {"bulk", "list"}:
        yield Problem("precedence", f"{precedence!r} is neither bulk nor list")
    feedback = mail.value("feedback-id")
    if feedback is not None and not _FEEDBACK_ID.fullmatch(feedback) and "=?" not in feedback:
        yield Problem("feedback-id", f"{feedback!r} is not a:b:c:sender")


def _unsubscribe(field: Field) -> Iterator[Problem]:
    # A value without angle brackets is reported as not being a list of URLs.
    urls = re.findall(r"<([^<>]*)>", re.sub(r"\s", "", field.value))
    web = [url for url in urls if not url.lower().startswith("mailto:")]
    if urls and (urls[0] not in web or not is_safe_url(urls[0])):
        yield Problem("list-unsubscribe", f"the first URL is not https: {urls[0][:60]!r}")
    elif len(web) > 1 or len(urls) > 2:
        yield Problem("list-unsubscribe", "there is more than one https and one mailto URL")
