"""Make or update the catalogue of a language: `.venv/bin/python tools/make_catalogue.py hy`.

Collects all texts of templates and code, and keeps what is translated already. Run from anywhere.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    ("templates", [("**.html", "jinja2"), ("**.txt", "jinja2"), ("**.xml", "jinja2")]),
    ("mailer", [("**.py", "python")]),
)
PLURALS = {
    "ar": (
        "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 :"
        " n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);"
    ),
    "hy": "nplurals=2; plural=(n > 1);",
}
"""Where Babel's own table knows less than CLDR does, or has the forms in another order than CLDR's: the
forms of languages with a catalogue here."""
KEYWORDS = DEFAULT_KEYWORDS | {"translate": None}
# Without this the reader of templates passes over one that it cannot parse.
OPTIONS = {"**.html": {"silent": "false"}, "**.txt": {"silent": "false"}}


def texts() -> Catalog:
    """All texts that readers may see, untranslated."""
    catalog = Catalog(project="mailer", charset="utf-8", fuzzy=False)
    for folder, methods in SOURCES:
        found = extract_from_dir(ROOT / folder, methods, OPTIONS, KEYWORDS)
        for file, _line, text, comments, context in found:
            catalog.add(
                text, locations=[(f"{folder}/{file}", 0)], auto_comments=comments, context=context
            )
    return catalog


def main(language: str) -> None:
    """Write `templates/translations/{language}.po`."""
    path = ROOT / "templates" / "translations" / f"{language}.po"
    catalog = Catalog(
        locale=language.replace("-", "_"),
        project="mailer",
        charset="utf-8",
        fuzzy=False,
        header_comment=f"# The texts of mails and pages in {language}: see docs/translating.md.",
        version="0.1.0",
        msgid_bugs_address="see CONTRIBUTING.md",
        last_translator="the authors of the mailer",
        language_team=language,
    )
    if language in PLURALS:
        catalog.mime_headers = [("Plural-Forms", PLURALS[language])]
    if path.exists():
        with path.open("rb") as file:
            catalog = read_po(file, locale=language.replace("-", "_"))
    catalog.update(texts(), no_fuzzy_matching=True)
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        write_po(
            file, catalog, sort_output=True, include_lineno=False, ignore_obsolete=True, width=100
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_catalogue.py LANGUAGE, such as hy or pt-BR")
    main(sys.argv[1])
