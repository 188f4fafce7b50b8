"""How a language writes what templates show. The filters' dates are in test_templating.py."""

import pytest

from mailer.templating.formats import direction_of, filters, locale_of, wrap


@pytest.mark.parametrize(
    ("zone", "language", "city"),
    [
        ("Europe/Paris", "en", "Paris"),
        ("Europe/Paris", "hy", "Փարիզ"),
        ("Asia/Yerevan", "ar", "يريفان"),
        ("America/New_York", "fr", "New York"),
        # Whichever of its names a zone has here, CLDR may know it by another.
        ("Europe/Kyiv", "ru", "Киев"),
        ("Europe/Kiev", "ru", "Киев"),
        ("America/Argentina/Buenos_Aires", "fr", "Buenos Aires"),
        ("Asia/Ho_Chi_Minh", "en", "Ho Chi Minh City"),
        ("UTC", "ru", "UTC"),
        ("Etc/GMT+3", "ru", "GMT+3"),
        ("EST", "fr", "EST"),
    ],
)
def test_a_zone_is_known_by_its_city(zone: str, language: str, city: str) -> None:
    assert filters(locale_of(language))["city"](zone) == city


@pytest.mark.parametrize(
    ("language", "direction"), [("ar", "rtl"), ("he", "rtl"), ("en", "ltr"), ("hy", "ltr")]
)
def test_a_language_has_a_direction(language: str, direction: str) -> None:
    assert direction_of(language) == direction


def test_lines_are_wrapped_and_urls_stay_whole() -> None:
    url = "https://news.example/" + "a-long-name/" * 10
    lines = wrap(f"{'some words ' * 12}{url} and-more-words " + "end " * 30).splitlines()
    assert url in lines
    assert max(len(line) for line in lines if line != url) <= 72
