"""The sample newspaper's web site: front page, articles, pictures and the feed.

It stands for any site that a newsroom already has, so it knows the mailer only as the sign-up form
that `mailer newsletter embed` printed.
"""

import hashlib
from email.utils import format_datetime

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mailer.demo.articles import PAPER, TOWN
from mailer.demo.newsroom import Newsroom
from mailer.demo.pictures import draw
from mailer.demo.static import render, static


class Site:
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
        """The site as an ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._front),
                Route("/news/{slug}", self._article),
                Route("/pictures/{slug}.png", self._picture),
                Route("/feed.xml", self._feed),
                Route("/paper.css", static("paper.css")),
                Route("/icon.svg", static("icon.svg")),
            ]
        )

    def _page(self, name: str, **context: object) -> HTMLResponse:
        html = render(name, paper=PAPER, town=TOWN, newsroom=self._newsroom, **context)
        return HTMLResponse(
            html,
            headers={
                "Content-Security-Policy": self._policy,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )

    def _front(self, request: Request) -> Response:
        # The form is what the mailer printed for pasting into a page, markup and all.
        form = Markup(self._form_html)  # noqa: S704
        return self._page("front.html", pieces=self._newsroom.pieces(), form=form)

    def _article(self, request: Request) -> Response:
        piece = self._newsroom.piece(request.path_params["slug"])
        if piece is None:
            raise HTTPException(404, "This article is not out yet.")
        return self._page("article.html", piece=piece)

    def _picture(self, request: Request) -> Response:
        piece = self._newsroom.piece(request.path_params["slug"])
        if piece is None or piece.story.scene is None:
            raise HTTPException(404, "There is no such picture.")
        picture = draw(piece.story.scene, piece.story.slug)
        return Response(
            picture, media_type="image/png", headers={"Cache-Control": "public, max-age=3600"}
        )

    def _feed(self, request: Request) -> Response:
        feed = self._newsroom.feed()
        tag = f'"{hashlib.sha256(feed).hexdigest()[:20]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        pieces = self._newsroom.pieces()
        if pieces:
            headers["Last-Modified"] = format_datetime(pieces[0].published, usegmt=True)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(feed, media_type="application/rss+xml", headers=headers)
