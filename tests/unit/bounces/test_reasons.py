from mailer.bounces.reasons import AGAINST_READER, KINDS, BounceKind, Reason


def test_every_reason_has_a_kind_and_every_kind_a_reason() -> None:
    assert KINDS.keys() == set(Reason)
    assert set(KINDS.values()) == set(BounceKind)


def test_hard_are_the_four_that_no_later_mail_can_overcome() -> None:
    hard = {reason for reason in Reason if reason.kind is BounceKind.HARD}
    assert hard == {"user_unknown", "host_unknown", "moved", "not_accepting"}


def test_what_did_not_fail_does_not_count_against_a_reader() -> None:
    kinds = {reason.kind for reason in AGAINST_READER}
    assert kinds == {BounceKind.HARD, BounceKind.SOFT, BounceKind.COMPLAINT}
