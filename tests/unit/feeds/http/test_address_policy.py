import pytest

from mailer.feeds.http.address_policy import may_connect


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses_are_open(address: str) -> None:
    assert may_connect(address, allow_private=False)
    assert may_connect(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.5",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
    ],
)
def test_ones_own_networks_are_open_on_request_only(address: str) -> None:
    assert not may_connect(address, allow_private=False)
    assert may_connect(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "192.88.99.1",
        "192.0.2.1",
        "198.18.0.1",
        "ff02::1",
        "ff0e::1",
        "fec0::1",
        "2001:db8::1",
        # Teredo: the server, and the client behind it, which is 192.0.2.45 written backwards.
        "2001:0:808:808:8000:63bf:3fff:fdd2",
        "no address",
        "2130706433",
        "",
    ],
)
def test_other_addresses_are_never_open(address: str) -> None:
    assert not may_connect(address, allow_private=False)
    assert not may_connect(address, allow_private=True)
