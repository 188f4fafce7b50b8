import pytest

from mailer.web.accept_language import preferred

THERE_ARE = ("en", "ar", "fr", "hy", "pt-BR", "ru")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("hy", "hy"),
        ("HY-am", "hy"),
        ("de, fr;q=0.5, ru;q=0.8", "ru"),
        ("ru;q=0.5, fr;q=0.5", "ru"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("pt-BR", "pt-BR"),
        ("pt", "en"),
        ("ru;q=0, hy;q=0.001", "hy"),
        ("ru;q=0", "en"),
        ("ru;q=nan, ar ; Q = 0.3", "ar"),
        ("ru;q=17", "en"),
        ("ru;level=1", "ru"),
        ("*", "en"),
        (",;=,-;q=", "en"),
        ("xx," * 20 + "hy", "en"),
    ],
)
def test_the_language_that_is_liked_best(header: str, language: str) -> None:
    assert preferred(header, THERE_ARE) == language
