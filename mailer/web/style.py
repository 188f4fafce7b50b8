"""Serves /style.css, the style of all pages, and /style/{slug}.css, a newsletter's colour.

No page has a style of its own, because the policy in `mailer.web.security_headers` allows none.
"""

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mailer.web.base import read_offers

_SHEET: Final = Path(__file__).with_name("static") / "style.css"
_AN_HOUR: Final = {"Cache-Control": "max-age=3600"}


def sheet(_request: Request) -> Response:
    """Return the style of all pages."""
    return Response(_SHEET.read_text(encoding="utf-8"), 200, _AN_HOUR, "text/css")


def colors(request: Request) -> Response:
    """Return a newsletter's colour, darker or lighter where text must be readable on it.

    Raises:
        HTTPException: there is no such newsletter.
    """
    looks = {offer.look.slug: offer.look for offer in read_offers(request)}
    look = looks.get(request.path_params["slug"])
    if look is None:
        raise HTTPException(404)
    css = (
        f":root {{ --color: {look.color}; --on-color: {look.on_color}; --accent: {look.accent}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --accent: {look.night_accent}; }} }}\n"
    )
    return Response(css, 200, _AN_HOUR, "text/css")
