"""Where a claim begins: behind the last one, but never for so long that a row is forgotten."""

from datetime import timedelta

from mailer.ledger.places import BEGINNING, RENEW_SECONDS, Place, Places
from tests.support.factories import NOW

DIGEST, OTHER = 7, 8
LAST = Place(NOW - timedelta(minutes=1), 41)
RENEWED = NOW + timedelta(seconds=RENEW_SECONDS)


def test_a_claim_goes_on_behind_the_last_one_of_its_digest() -> None:
    places = Places()
    assert places.begin(DIGEST, NOW) == BEGINNING
    places.end(DIGEST, LAST)
    assert places.begin(DIGEST, RENEWED - timedelta(seconds=1)) == LAST
    assert places.begin(OTHER, NOW) == BEGINNING


def test_a_claim_that_found_less_than_it_asked_for_is_followed_by_one_from_the_beginning() -> None:
    places = Places()
    places.begin(DIGEST, NOW)
    places.end(DIGEST, LAST)
    places.end(DIGEST, None)
    assert places.begin(DIGEST, NOW) == BEGINNING


def test_now_and_then_a_claim_begins_anew_however_many_there_are() -> None:
    places = Places()
    places.begin(DIGEST, NOW)
    for second in range(int(RENEW_SECONDS)):
        places.end(DIGEST, LAST)
        assert places.begin(DIGEST, NOW + timedelta(seconds=second)) == LAST
    assert places.begin(DIGEST, RENEWED) == BEGINNING
    places.end(DIGEST, LAST)
    assert places.begin(DIGEST, RENEWED + timedelta(seconds=1)) == LAST


def test_a_clock_that_was_set_back_begins_anew() -> None:
    places = Places()
    places.begin(DIGEST, NOW)
    places.end(DIGEST, LAST)
    back = NOW - timedelta(hours=1)
    assert places.begin(DIGEST, back) == BEGINNING
    places.end(DIGEST, LAST)
    assert places.begin(DIGEST, back + timedelta(seconds=1)) == LAST
