"""Hands out the demo's own files: pages made from its templates, style, script and pictures."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

FOLDER = Path(__file__).parent
PICTURES = FOLDER / "pictures"

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **context: object) -> str:
    """Make a document from its template in this folder."""
    return _ENVIRONMENT.get_template(name).render(context)


def page(name: str, policy: str, **context: object) -> HTMLResponse:
    """Answer with a page made from its template."""
    return html(render(name, **context), policy)


def html(content: str, policy: str) -> HTMLResponse:
    """Answer with HTML that may only do what `policy` lets it."""
    return HTMLResponse(
        content,
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


def static(name: str) -> Callable[[Request], Response]:
    """Make a route that serves one file of this folder as it is."""
    return lambda request: FileResponse(FOLDER / name, headers={"Cache-Control": "no-cache"})


def picture_size(name: str) -> int:
    """Return how many bytes a picture has."""
    return (PICTURES / f"{name}.png").stat().st_size
