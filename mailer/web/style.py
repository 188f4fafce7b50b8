"""/style.css and /style/{slug}.css: how pages look, and a newsletter's colour.

No page has a style of its own, because the policy in `mailer.web.headers` allows none.
"""

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mailer.message.look import Look
from mailer.newsletters.offer import offers
from mailer.web.site import site_of

_SHEET: Final = Path(__file__).with_name("static") / "style.css"
_AN_HOUR: Final = {"Cache-Control": "max-age=3600"}


def sheet(_request: Request) -> Response:
    """The style of all pages."""
    return Response(_SHEET.read_text(encoding="utf-8"), 200, _AN_HOUR, "text/css")


def colors(request: Request) -> Response:
    """A newsletter's colour, darker or lighter where text must be readable on it."""
    site = site_of(request)
    with site.app.database.read() as session:
        looks = {one.look.slug: one.look for one in offers(session, site.app.publisher)}
    look = looks.get(request.path_params["slug"])
    if look is None:
        raise HTTPException(404)
    return Response(_colors(look), 200, _AN_HOUR, "text/css")


def _colors(look: Look) -> str:
    return (
        f":root {{ --color: {look.color}; --on-color: {look.on_color}; --accent: {look.accent}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --accent: {look.night_accent}; }} }}\n"
    )
