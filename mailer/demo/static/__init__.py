"""The HTML, style and script of the demo's own pages, and the two functions that hand them out."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **context: object) -> str:
    """One page from its template in this folder."""
    return _ENVIRONMENT.get_template(name).render(context)


def static(name: str) -> Callable[[Request], Response]:
    """A route that serves one file of this folder as it is: a style sheet, the script, the icon."""
    content = (_FOLDER / name).read_bytes()
    media_type = _MEDIA_TYPES[Path(name).suffix]

    def serve(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return serve
