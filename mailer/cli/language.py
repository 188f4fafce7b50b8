"""Checks the language that staff choose for a newsletter or a reader."""

from typing import TYPE_CHECKING

from mailer.errors import Refused

if TYPE_CHECKING:
    from mailer.app import App


def check_language(app: "App", language: str) -> None:
    """Refuse a language without texts; a region such as fr-CA has the texts of its language.

    Raises:
        Refused: there are no texts in it.
    """
    languages = app.templates.languages()
    if not {language, language.split("-")[0]} & set(languages):
        raise Refused(
            f"there are no texts in {language!r}, only in {', '.join(languages)}; "
            "choose one of these, or add a catalogue (docs/translating.md)"
        )
    app.templates.gettext(language)
