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


def newspaper_app(newsroom: Newsroom, form_origin: str, form_html: str) -> Starlette:
    """Make the site as an ASGI application.

    Args:
        newsroom: what is published.
        form_origin: the origin that the embedded form may post to.
        form_html: the sign-up form as the mailer prints it, trusted as any site owner would.
    """
    policy = (
        "default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"form-action 'self' {form_origin}; base-uri 'none'; frame-ancestors 'none'"
    )
    names = {"newspaper": NEWSPAPER, "town": TOWN}

    def front(request: Request) -> Response:
        # The form is what the mailer printed for pasting into a page, markup and all.
        form = Markup(form_html)  # noqa: S704
        return page("front.html", policy, **names, articles=newsroom.articles(), form=form)

    def article(request: Request) -> Response:
        for published in newsroom.articles():
            if published.slug == request.path_params["slug"]:
                return page("article.html", policy, **names, article=published)
        raise HTTPException(404, "This article is not out yet.")

    def feed(request: Request) -> Response:
        document = newsroom.feed()
        tag = f'"{hashlib.sha256(document).hexdigest()[:20]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        articles = newsroom.articles()
        if articles:
            headers["Last-Modified"] = format_datetime(articles[0].published, usegmt=True)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(document, media_type="application/rss+xml", headers=headers)

    return Starlette(
        routes=[
            Route("/", front),
            Route("/news/{slug}", article),
            Mount("/pictures", StaticFiles(directory=PICTURES)),
            Route("/feed.xml", feed),
            Route("/newspaper.css", static("newspaper.css")),
            Route("/icon.svg", static("icon.svg")),
        ]
    )
