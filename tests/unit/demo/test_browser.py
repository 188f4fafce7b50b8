from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import Route

from mailer.demo.browser import PageAnswer, forms, get, post
from mailer.demo.mailbox import Mailbox
from mailer.demo.servers import Servers, bind, origin

PAGE = """
<form action="/search"><input name="q"></form>
<form method="POST" action="../subscribe">
<input type="hidden" name="newsletter" value="gazette">
<input type="email" name="email"><input type="checkbox" name="daily" value="1" checked>
<input type="checkbox" name="weekly" value="1"><input type="radio" name="way" value="a">
<input type="radio" name="way" value="b" checked>
<select name="schedule"><option value="one">1</option><option value="two" selected>2</option></select>
<select name="other"><option value="first">1</option><option value="second">2</option></select>
<textarea name="note"></textarea><input type="submit" name="go" value="Go">
</form>
<input name="outside" value="no">
"""


def test_a_form_sends_what_a_browser_would_send() -> None:
    search, subscribe = forms(PageAnswer("http://127.0.0.1:8000/a/b", 200, {}, PAGE))
    assert (search.method, search.action) == ("get", "http://127.0.0.1:8000/search")
    assert (subscribe.method, subscribe.action) == ("post", "http://127.0.0.1:8000/subscribe")
    assert subscribe.fields == {
        "newsletter": "gazette",
        "email": "",
        "daily": "1",
        "way": "b",
        "schedule": "two",
        "other": "first",
        "note": "",
    }


@pytest.fixture
def site() -> Iterator[str]:
    async def echo(request: Request) -> JSONResponse:
        form = dict(await request.form())
        return JSONResponse({"method": request.method, "query": request.url.query, "form": form})

    app = Starlette(
        routes=[
            Route("/echo", echo, methods=["GET", "POST"]),
            Route("/away", lambda request: RedirectResponse("/echo", 303)),
            Route("/page", lambda request: HTMLResponse("é")),
        ]
    )
    with bind(0) as listener, bind(0) as smtp:
        servers = Servers({listener: app}, smtp, Mailbox())
        servers.start()
        yield origin(listener)
        servers.stop()


def test_pages_are_opened_and_forms_sent_and_no_redirect_is_followed(site: str) -> None:
    assert get(f"{site}/page").body == "é"
    assert get(f"{site}/page").headers["content-type"].startswith("text/html")
    assert '"query":"a=1"' in get(f"{site}/echo?a=1").body
    assert '"form":{"email":"a+b@x"}' in post(f"{site}/echo", {"email": "a+b@x"}).body
    assert get(f"{site}/away").status == 303


def test_nobody_answering_is_status_0() -> None:
    with bind(0) as listener:
        silent = origin(listener)
    assert get(silent).status == 0
