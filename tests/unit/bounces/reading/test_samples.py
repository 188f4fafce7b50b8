"""Reads the labelled mails, and holds how many are read right."""

from collections.abc import Iterable

import pytest

from mailer.bounces.reading.read import read_returned
from mailer.bounces.reasons import BounceKind, Reason
from tests.support.returned_mails import READER, REFERENCE, Sample, samples

SAMPLES = samples()
NO_BOUNCE = (BounceKind.AUTOREPLY, BounceKind.NONE)


def kinds(mails: Iterable[Sample]) -> list[tuple[BounceKind, BounceKind]]:
    return [(one.kind, read_returned(one.raw).kind) for one in mails]


def test_there_are_many_of_every_kind() -> None:
    assert len(SAMPLES) >= 300
    assert {one.reason for one in SAMPLES} >= {
        reason for reason in Reason if reason.kind in (BounceKind.HARD, BounceKind.SOFT)
    }


def test_hard_bounces_are_found_and_nothing_else_is_taken_for_one() -> None:
    read = kinds(SAMPLES)
    hard = [found for label, found in read if label is BounceKind.HARD]
    said_hard = [label for label, found in read if found is BounceKind.HARD]
    assert hard.count(BounceKind.HARD) >= 0.98 * len(hard)
    assert said_hard.count(BounceKind.HARD) >= 0.98 * len(said_hard)


def test_automatic_replies_and_delays_are_never_counted() -> None:
    others = [one for one in SAMPLES if one.kind in NO_BOUNCE]
    assert len(others) >= 40
    assert {found for _, found in kinds(others)} == {*NO_BOUNCE}


def test_the_reader_is_found() -> None:
    named = [one for one in SAMPLES if one.address is not None]
    right = [
        one
        for one in named
        if one.address in {recipient.address for recipient in read_returned(one.raw).recipients}
    ]
    assert len(right) >= 0.98 * len(named)


@pytest.mark.parametrize("sample", SAMPLES, ids=[one.name for one in SAMPLES])
def test_reason(sample: Sample) -> None:
    assert read_returned(sample.raw).reason is sample.reason


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if one.address == READER], ids=lambda one: one.name
)
def test_reader(sample: Sample) -> None:
    addresses = [recipient.address for recipient in read_returned(sample.raw).recipients]
    assert READER in addresses


def test_every_mail_names_ours_once() -> None:
    assert {read_returned(one.raw).references for one in SAMPLES} == {(REFERENCE,)}
