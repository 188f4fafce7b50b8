"""Write every mail in every language into a folder, as HTML and as it goes over the wire.

Run as `python -m tools.write_mails FOLDER`.
"""

import sys
from pathlib import Path

from tests.support.all_mails import LANGUAGES, html_of, mails

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        for name, content, raw in mails(language):
            path = folder / name.replace(" ", "-")
            path.with_suffix(".html").write_text(html_of(content), encoding="utf-8")
            path.with_suffix(".eml").write_bytes(raw)
