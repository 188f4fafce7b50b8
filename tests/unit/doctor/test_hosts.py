"""MX records and reverse DNS."""

import pytest

from mailer.doctor.dns.mail_hosts import check_mx
from mailer.doctor.dns.reverse import check_ptr, public_addresses
from tests.support.dns_records import FAILS, Zone, answering

MX = ("news.example", "MX")
A = ("mail.news.example", "A")
MX_CASES = [
    ({MX: ("10 mail.news.example",), A: ("192.0.2.1",)}, "ok", "mail.news.example"),
    ({MX: ("10 mail.news.example",), ("mail.news.example", "AAAA"): ("2001:db8::1",)}, "ok", "takes"),
    ({MX: ("0 ",)}, "problem", "null MX"),
    ({MX: ("10 gone.example",)}, "problem", "do not exist"),
    ({MX: ("10 gone.example", "20 mail.news.example"), A: ("192.0.2.1",)}, "warning", "gone.example"),
    ({("news.example", "A"): ("192.0.2.1",)}, "warning", "no MX"),
    ({}, "problem", "takes no mail"),
    ({MX: FAILS}, "warning", "could not be checked"),
    ({("news.example", "A"): FAILS, ("news.example", "AAAA"): FAILS}, "warning", "could not be checked"),
    ({MX: ("10 slow.example",), ("slow.example", "A"): FAILS}, "ok", "slow.example"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "severity", "words"), MX_CASES)
def test_whether_a_domain_takes_mail_is_judged(zone: Zone, severity: str, words: str) -> None:
    finding = check_mx("news.example", "From of daily", answering(zone))
    assert (finding.severity, words in finding.what) == (severity, True), finding.what


PTR = ("5.2.0.192.in-addr.arpa", "PTR")
PTR_CASES = [
    ({PTR: ("mail.news.example",), A: ("192.0.2.5",)}, "ok", "leads back"),
    ({PTR: ("x.example", "mail.news.example"), A: ("192.0.2.4", "192.0.2.5")}, "ok", "mail."),
    ({PTR: ("mail.news.example",), A: ("192.0.2.4",)}, "problem", "does not lead back"),
    ({PTR: ("mail.news.example",)}, "problem", "does not lead back"),
    ({}, "problem", "no host name"),
    ({PTR: FAILS}, "warning", "could not be checked"),
    ({PTR: ("mail.news.example",), A: FAILS}, "warning", "could not be checked"),
]


@pytest.mark.parametrize(("zone", "severity", "words"), PTR_CASES)
def test_reverse_dns_is_judged(zone: Zone, severity: str, words: str) -> None:
    finding = check_ptr("192.0.2.5", answering(zone), is_ours=True)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what
    theirs = check_ptr("192.0.2.5", answering(zone), is_ours=False)
    assert theirs.severity != "problem"


def test_reverse_dns_of_ipv6() -> None:
    pointer = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"
    zone = {
        (pointer, "PTR"): ("mail.news.example",),
        ("mail.news.example", "AAAA"): ("2001:db8:0::1",),
    }
    assert check_ptr("2001:db8::1", answering(zone), is_ours=True).severity == "ok"


def test_only_public_addresses_of_a_relay_are_judged() -> None:
    zone = {("r.example", "A"): ("10.0.0.1", "8.8.8.8"), ("r.example", "AAAA"): ("::1", "2600::1")}
    look_up = answering(zone)
    assert public_addresses("r.example", look_up) == ["8.8.8.8", "2600::1"]
    assert public_addresses("8.8.4.4", look_up) == ["8.8.4.4"]
    assert public_addresses("127.0.0.1", look_up) == []
