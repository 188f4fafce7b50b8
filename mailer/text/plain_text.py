"""Writes plain text as HTML. Pure."""

import html
import re


def as_html(text: str) -> str:
    """Turn plain text into HTML: an empty line starts a paragraph, a line end is a break."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(
        f"<p>{html.escape(paragraph, quote=False).replace(chr(10), '<br>')}</p>"
        for paragraph in paragraphs
        if paragraph.strip()
    )
