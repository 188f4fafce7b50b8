"""Serves the sample newspaper's web site: front page, articles, pictures and the feed.

It stands for the site that a newsroom already has, so all that it knows of the mailer is the sign-up
form that `mailer newsletter embed` printed.
"""

import hashlib
from email.utils import format_datetime

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mailer.demo.articles import NEWSPAPER, TOWN
from mailer.demo.newsroom import Newsroom
from mailer.demo.static import PICTURES, page, static


class NewspaperSite:
    """The pages of the newspaper.

    Args:
        newsroom: what is published.
        form_origin: the origin that the embedded form may post to.
        form_html: the sign-up form as the mailer prints it, trusted as any site owner would.
    """

    def __init__(self, newsroom: Newsroom, form_origin: str, form_html: str) -> None:
        self._newsroom = newsroom
        self._form_html = form_html
        self._policy = (
            "default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'; "
            f"form-action 'self' {form_origin}; base-uri 'none'; frame-ancestors 'none'"
        )

    def app(self) -> Starlette:
        """Return the site as an ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._front),
                Route("/news/{slug}", self._article),
                Mount("/pictures", StaticFiles(directory=PICTURES)),
                Route("/feed.xml", self._feed),
                Route("/newspaper.css", static("newspaper.css")),
                Route("/icon.svg", static("icon.svg")),
            ]
        )

    def _page(self, name: str, **context: object) -> Response:
        return page(name, self._policy, newspaper=NEWSPAPER, town=TOWN, **context)

    def _front(self, request: Request) -> Response:
        # The form is what the mailer printed for pasting into a page, markup and all.
        form = Markup(self._form_html)  # noqa: S704
        return self._page("front.html", articles=self._newsroom.articles(), form=form)

    def _article(self, request: Request) -> Response:
        for article in self._newsroom.articles():
            if article.slug == request.path_params["slug"]:
                return self._page("article.html", article=article)
        raise HTTPException(404, "This article is not out yet.")

    def _feed(self, request: Request) -> Response:
        feed = self._newsroom.feed()
        tag = f'"{hashlib.sha256(feed).hexdigest()[:20]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        articles = self._newsroom.articles()
        if articles:
            headers["Last-Modified"] = format_datetime(articles[0].published, usegmt=True)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(feed, media_type="application/rss+xml", headers=headers)
