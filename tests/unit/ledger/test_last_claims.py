"""Where a claim begins: behind the last one, but never for so long that a row is forgotten."""

from datetime import timedelta

from mailer.ledger.last_claims import BEGINNING, RENEW_SECONDS, LastClaims, Place
from tests.support.factories import NOW

DIGEST, OTHER = 7, 8
LAST = Place(NOW - timedelta(minutes=1), 41)
RENEWED = NOW + timedelta(seconds=RENEW_SECONDS)


def test_a_claim_goes_on_behind_the_last_one_of_its_digest() -> None:
    last_claims = LastClaims()
    assert last_claims.begin(DIGEST, NOW) == BEGINNING
    last_claims.end(DIGEST, LAST)
    assert last_claims.begin(DIGEST, RENEWED - timedelta(seconds=1)) == LAST
    assert last_claims.begin(OTHER, NOW) == BEGINNING


def test_a_claim_that_found_less_than_it_asked_for_is_followed_by_one_from_the_beginning() -> None:
    last_claims = LastClaims()
    last_claims.begin(DIGEST, NOW)
    last_claims.end(DIGEST, LAST)
    last_claims.end(DIGEST, None)
    assert last_claims.begin(DIGEST, NOW) == BEGINNING


def test_now_and_then_a_claim_begins_anew_however_many_there_are() -> None:
    last_claims = LastClaims()
    last_claims.begin(DIGEST, NOW)
    for second in range(int(RENEW_SECONDS)):
        last_claims.end(DIGEST, LAST)
        assert last_claims.begin(DIGEST, NOW + timedelta(seconds=second)) == LAST
    assert last_claims.begin(DIGEST, RENEWED) == BEGINNING
    last_claims.end(DIGEST, LAST)
    assert last_claims.begin(DIGEST, RENEWED + timedelta(seconds=1)) == LAST


def test_a_clock_that_was_set_back_begins_anew() -> None:
    last_claims = LastClaims()
    last_claims.begin(DIGEST, NOW)
    last_claims.end(DIGEST, LAST)
    back = NOW - timedelta(hours=1)
    assert last_claims.begin(DIGEST, back) == BEGINNING
    last_claims.end(DIGEST, LAST)
    assert last_claims.begin(DIGEST, back + timedelta(seconds=1)) == LAST
