"""Reads the labelled mails: why each came back, whom it is about, and which mail of ours it names."""

import pytest

from mailer.bounces.reading.read import read_returned
from mailer.bounces.reasons import BounceKind, Reason
from tests.support.returned_mails import REFERENCE, Sample, samples

SAMPLES = samples()
NO_BOUNCE = (BounceKind.AUTOREPLY, BounceKind.NONE)


def test_there_are_many_of_every_kind() -> None:
    assert len(SAMPLES) >= 300
    assert {one.reason for one in SAMPLES} >= {
        reason for reason in Reason if reason.kind in (BounceKind.HARD, BounceKind.SOFT)
    }


def test_automatic_replies_and_delays_are_never_counted() -> None:
    others = [one for one in SAMPLES if one.kind in NO_BOUNCE]
    assert len(others) >= 40
    assert {read_returned(one.raw).kind for one in others} == {*NO_BOUNCE}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda one: one.name)
def test_it_is_read_right(sample: Sample) -> None:
    mail = read_returned(sample.raw)
    assert mail.reason is sample.reason
    assert mail.references == (REFERENCE,)
    if sample.address is not None:
        assert sample.address in {recipient.address for recipient in mail.recipients}
