"""What every page shares: the opened program, how a page is made, and who asks for it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse

from mailer.app import App
from mailer.errors import BadToken
from mailer.message.look import Look
from mailer.permission.consent import Origin
from mailer.tokens import Purpose
from mailer.web.client import client_ip, short_user_agent
from mailer.web.language import preferred

MOST_FIELDS = 100


class Site:
    """The web role's view of the opened program."""

    def __init__(self, app: App) -> None:
        self.app = app
        # Links are built from base_url and never from what a request says about the host.
        self.root = urlsplit(app.settings.base_url).path

    def page(
        self,
        template: str,
        *,
        look: Look | None = None,
        request: Request,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> HTMLResponse:
        """The page `web/{template}.html`, in the language and the colours of a newsletter.

        One that belongs to no newsletter is in the language that `request` asks for.
        """
        language = self.language(look, request)
        if look is None:
            headers = {**(headers or {}), "Vary": "Accept-Language"}
        html = self.app.templates.render(
            f"web/{template}.html", language, {"root": self.root, "look": look, **context}
        )
        return HTMLResponse(html, status, headers)

    def language(self, look: Look | None, request: Request) -> str:
        """The newsletter's language; without one the language that the browser asks for."""
        if look is not None:
            return look.language
        asked = request.headers.get("accept-language", "")
        return preferred(asked, self.app.templates.languages())

    def origin(self, request: Request, source: str) -> Origin:
        """Who asks, for the consent log. `source` is the page's path without its token."""
        return Origin(
            source=source,
            ip=client_ip(
                request.client.host if request.client else None,
                request.headers.getlist("x-forwarded-for"),
                self.app.settings.trusted_proxies,
            ),
            user_agent=short_user_agent(request.headers.get("user-agent")),
        )

    def public_id(self, request: Request, purpose: Purpose) -> int:
        """The public id in the path's token.

        Raises:
            BadToken: it was not made here for this purpose.
            ExpiredToken: it was, but its time is over.
        """
        token = request.path_params["token"]
        if not isinstance(token, str):
            raise BadToken
        return self.app.keys.read(token, purpose, self.app.times.wall())


def site_of(request: Request) -> Site:
    """The site that this request came to."""
    found = request.app.state.site
    if not isinstance(found, Site):
        raise TypeError("the application was not made by make_app")
    return found


async def fields_of(request: Request) -> Mapping[str, list[str]]:
    """The fields of a form, urlencoded or multipart; files are refused."""
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        fields: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            if isinstance(value, str):
                fields.setdefault(name, []).append(value)
        return fields
