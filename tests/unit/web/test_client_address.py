"""Who the client is behind proxies."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.web.client_address import client_ip, short_user_agent, single_client

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["203.0.113.1"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.1, 10.9.9.9"], "203.0.113.1"),
        ("10.0.0.1", ["10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["203.0.113.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.1"], "203.0.113.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("10.0.0.1", ["203.0.113.1:5678"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6:1, 203.0.113.1:5678, 10.9.9.9:80"], "203.0.113.1"),
        ("fd00::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("fd00::1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["[]:443"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1:http"], "10.0.0.1"),
        (None, ["203.0.113.1"], None),
        ("", [], None),
    ],
)
def test_only_what_trusted_proxies_saw_counts(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert client_ip(peer, forwarded, PROXIES) == expected


@given(st.lists(st.text()))
def test_whatever_a_client_invents_it_stays_who_it_is(forwarded: list[str]) -> None:
    assert client_ip("198.51.100.7", forwarded, PROXIES) == "198.51.100.7"
    assert client_ip("10.0.0.1", [*forwarded, "203.0.113.1"], PROXIES) == "203.0.113.1"


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("127.0.0.2", "127.0.0.2"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("10.1.1.1", None),
        ("fd00::9", None),
        ("no address", None),
        (None, None),
    ],
)
def test_this_machine_and_proxies_are_many_clients(address: str | None, client: str | None) -> None:
    assert single_client(address, PROXIES) == client


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("", None), ("B/1\r\nX: y\0", "B/1  X: y"), ("x" * 1000, "x" * 300)],
)
def test_a_user_agent_is_one_short_line(text: str | None, expected: str | None) -> None:
    assert short_user_agent(text) == expected
