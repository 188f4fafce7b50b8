"""Who is this machine, as far as /metrics is concerned."""

import pytest

from mailer.web.metrics import is_local


@pytest.mark.parametrize(
    ("peer", "forwarded", "local"),
    [
        ("127.0.0.1", [], True),
        ("127.8.0.1", [], True),
        ("::1", [], True),
        ("::ffff:127.0.0.1", [], True),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("::1", ["127.0.0.1 , ::1", "::ffff:127.0.0.1"], True),
        (None, [], False),
        ("", [], False),
        ("203.0.113.5", [], False),
        ("::ffff:203.0.113.5", [], False),
        # Whoever has no address here may invent one.
        ("203.0.113.5", ["127.0.0.1"], False),
        # The loopback of the proxy's machine is not ours.
        ("10.0.0.1", ["127.0.0.1"], False),
        ("127.0.0.1", ["203.0.113.5"], False),
        ("127.0.0.1", ["203.0.113.5, 127.0.0.1"], False),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.5"], False),
        ("127.0.0.1", ["127.0.0.1", "203.0.113.5"], False),
        ("127.0.0.1", ["localhost"], False),
        ("127.0.0.1", ["unknown"], False),
        ("127.0.0.1", [""], False),
    ],
)
def test_only_what_came_through_this_machine_alone_is_local(
    peer: str | None, forwarded: list[str], local: bool
) -> None:
    assert is_local(peer, forwarded) is local
