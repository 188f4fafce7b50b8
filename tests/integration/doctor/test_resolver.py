"""The resolver against a DNS server on loopback: what it answers, and that no answer breaks it."""

import struct

import dns.message
import pytest

from mailer.doctor.dns.answers import LONGEST_TEXT, MOST_RECORDS, DnsAnswer, DnsStatus
from mailer.doctor.dns.resolver import Resolver, parse_server
from mailer.doctor.dns.spf import check_spf
from tests.support.dns_server import dns_server, txt

FOUND = DnsStatus.FOUND


def test_records_are_written_as_judgements_read_them() -> None:
    key = "v=DKIM1; p=" + "A" * 600
    zone = {
        ("news.example", "TXT"): [txt(key), txt("v=spf1 -all")],
        ("news.example", "MX"): ["10 Mail.news.example.", "0 ."],
        ("news.example", "A"): ["192.0.2.1"],
        ("news.example", "AAAA"): ["2001:db8::1"],
        ("1.2.0.192.in-addr.arpa", "PTR"): ["Mail.news.example."],
        ("alias.example", "CNAME"): ["news.example."],
    }
    with dns_server(zone) as server:
        ask = Resolver(server.place)
        assert set(ask("news.example", "TXT").records) == {key, "v=spf1 -all"}
        assert set(ask("NEWS.example.", "MX").records) == {"10 mail.news.example", "0 "}
        assert ask("news.example", "A").records == ("192.0.2.1",)
        assert ask("news.example", "AAAA").records == ("2001:db8::1",)
        assert ask("1.2.0.192.in-addr.arpa", "PTR").records == ("mail.news.example",)
        assert ask("alias.example", "A").records == ("192.0.2.1",)
        assert ask("alias.example", "PTR") == DnsAnswer(DnsStatus.NO_DATA)
        assert ask("other.example", "A") == DnsAnswer(DnsStatus.NO_DOMAIN)


def test_nothing_is_asked_twice() -> None:
    with dns_server({("news.example", "A"): ["192.0.2.1"]}) as server:
        ask = Resolver(server.place)
        assert ask("news.example", "A") == ask("News.Example", "A")
        assert server.asked == [("news.example", "A")]


def test_a_large_answer_comes_over_tcp_and_is_cut() -> None:
    zone = {("big.example", "TXT"): [txt("x" * 20_000)]}
    with dns_server(zone) as server:
        (text,) = Resolver(server.place)("big.example", "TXT").records
        assert len(text) == LONGEST_TEXT


def test_of_very_many_records_some_are_left_out() -> None:
    zone = {("many.example", "A"): [f"192.0.{two}.{one}" for two in (2, 3) for one in range(200)]}
    with dns_server(zone) as server:
        assert len(Resolver(server.place)("many.example", "A").records) == MOST_RECORDS


def _flags(query: dns.message.Message) -> bytes:
    return query.to_wire()[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)


HOSTILE = {
    "garbage": lambda query: b"\xff" * 40,
    "empty": lambda query: b"",
    "half": lambda query: query.to_wire()[:7],
    "pointer loop": lambda query: _flags(query) + b"\xc0\x0c\x00\x10\x00\x01" + b"\xc0\x0c" * 9,
    "counts lie": lambda query: query.to_wire()[:2] + struct.pack("!5H", 0x8180, 1, 9999, 9, 9),
    "wrong id": lambda query: b"\x00\x00" + dns.message.make_response(query).to_wire()[2:],
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", HOSTILE)
def test_an_answer_that_is_none_is_a_failure(kind: str) -> None:
    with dns_server() as server:
        server.bad["bad.example"] = HOSTILE[kind]
        answer = Resolver(server.place, seconds=0.6)("bad.example", "TXT")
        assert answer.failed
        assert answer.error.isprintable()


def test_an_endless_chain_of_aliases_is_a_failure() -> None:
    zone = {(f"a{one}.example", "CNAME"): [f"a{one + 1}.example."] for one in range(60)}
    loop = {("l1.example", "CNAME"): ["l2.example."], ("l2.example", "CNAME"): ["l1.example."]}
    with dns_server({**zone, **loop}) as server:
        ask = Resolver(server.place)
        assert ask("a0.example", "TXT").failed
        assert not ask("l1.example", "TXT").records


def test_a_failing_server_and_bad_names_are_failures() -> None:
    with dns_server({("news.example", "TXT"): ["!SERVFAIL"]}) as server:
        ask = Resolver(server.place, seconds=0.6)
        for name in ("news.example", "x" * 70 + ".example", "a..b", "", "\u2028.example"):
            answer = ask(name, "TXT")
            assert not answer.records, name
            assert answer.error.isprintable()


def test_control_characters_in_a_record_never_reach_a_finding() -> None:
    zone = {("news.example", "TXT"): ['"v=spf1 \\027[2J\\010ip4:x \\255 -all"']}
    with dns_server(zone) as server:
        for finding in check_spf("news.example", Resolver(server.place)):
            assert finding.what.isprintable()
            assert finding.severity == "problem"


def test_a_silent_resolver_is_not_asked_for_ever() -> None:
    with dns_server() as server:
        for one in range(5):
            server.bad[f"n{one}.example"] = lambda query: None
        ask = Resolver(server.place, seconds=0.3)
        answers = [ask(f"n{one}.example", "TXT") for one in range(5)]
        assert all(answer.failed for answer in answers)
        assert "n4.example" not in {name for name, _ in server.asked}


@pytest.mark.parametrize(
    "text", ["dns.example", "127.0.0.1:x", "127.0.0.1:0", "[::1", "", "1.2.3.4:99999"]
)
def test_only_addresses_name_a_resolver(text: str) -> None:
    with pytest.raises(ValueError, match="IP address"):
        parse_server(text)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("[::1]", ("::1", 53)),
    ],
)
def test_addresses_name_a_resolver(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server
