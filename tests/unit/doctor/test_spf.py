"""SPF: which records are valid, how look-ups are counted (RFC 7208), and what is said about a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.doctor.dns.spf import check_spf
from mailer.doctor.dns.spf_record import BadSpf, parse_spf, spf_records
from mailer.doctor.dns.spf_walk import walk_spf
from mailer.doctor.finding import Severity
from tests.support.dns_records import FAILS, Zone, answering

DOMAIN = "news.example"
HOSTS = {(f"h{number}.example", "A"): (f"192.0.2.{number}",) for number in range(1, 30)}


def zone(record: str, more: Zone | None = None) -> dict[tuple[str, str], tuple[str, ...]]:
    found = {key: tuple(value) for key, value in (more or {}).items()}
    return {(DOMAIN, "TXT"): ("something else", record), **found}


def includes(number: int, last: str = "v=spf1 -all") -> dict[tuple[str, str], tuple[str, ...]]:
    """A chain of includes, each of which includes the next."""
    chain = {
        (f"i{one}.example", "TXT"): (f"v=spf1 include:i{one + 1}.example -all",)
        for one in range(1, number)
    }
    return {**chain, (f"i{number}.example", "TXT"): (last,)}


COUNTED = [
    ("v=spf1 -all", {}, 0),
    ("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", {}, 0),
    ("v=spf1 a -all", {(DOMAIN, "A"): ("192.0.2.1",)}, 1),
    ("v=spf1 mx -all", {(DOMAIN, "MX"): ("10 h1.example", "20 h2.example"), **HOSTS}, 1),
    ("v=spf1 ptr exists:%{i}.x.example -all", {}, 2),
    ("v=spf1 include:i1.example -all", includes(1), 1),
    ("v=spf1 include:i1.example -all", includes(4), 4),
    ("v=spf1 include:i1.example include:i1.example -all", includes(2), 4),
    ("v=spf1 redirect=i1.example", includes(2), 2),
    ("v=spf1 -all redirect=i1.example a", includes(2), 0),
    ("v=spf1 exp=i1.example x-new=1 ~all", {}, 0),
    ("v=spf1 a:h1.example a:h2.example/24 mx:h3.example//64 ~all", HOSTS, 3),
    ("v=spf1 include:%{d1r}._spf.example ~all", {}, 1),
    ("V=SPF1 A:h1.example ?ALL", HOSTS, 1),
]


@pytest.mark.parametrize(("record", "more", "look_ups"), COUNTED, ids=[row[0] for row in COUNTED])
def test_look_ups_are_counted_as_receivers_count_them(
    record: str, more: Zone, look_ups: int
) -> None:
    walk = walk_spf(DOMAIN, answering(zone(record, more)))
    assert (walk.look_ups, walk.error) == (look_ups, None)


@pytest.mark.parametrize(("number", "is_fine"), [(10, True), (11, False)])
def test_ten_look_ups_are_allowed_and_eleven_are_not(number: int, *, is_fine: bool) -> None:
    terms = " ".join(f"a:h{one}.example" for one in range(1, number + 1))
    (finding, *_) = check_spf(DOMAIN, answering(zone(f"v=spf1 {terms} -all", HOSTS)))
    assert (finding.severity is Severity.OK) is is_fine
    assert str(number) in finding.what


@pytest.mark.parametrize(("number", "is_fine"), [(2, True), (3, False)])
def test_two_names_may_be_void_and_three_may_not(number: int, *, is_fine: bool) -> None:
    terms = " ".join(f"a:gone{one}.example" for one in range(number))
    (finding,) = check_spf(DOMAIN, answering(zone(f"v=spf1 {terms} -all")))
    assert (finding.severity is Severity.OK) is is_fine


@pytest.mark.parametrize(("number", "is_fine"), [(10, True), (11, False)])
def test_mx_may_stand_for_ten_hosts(number: int, *, is_fine: bool) -> None:
    hosts = tuple(f"10 h{one}.example" for one in range(1, number + 1))
    walk = walk_spf(DOMAIN, answering(zone("v=spf1 mx -all", {(DOMAIN, "MX"): hosts, **HOSTS})))
    assert (walk.error is None) is is_fine
    assert walk.look_ups == 1


def test_a_host_with_only_one_family_of_addresses_is_not_void() -> None:
    records = zone("v=spf1 a:six.example -all", {("six.example", "AAAA"): ("2001:db8::1",)})
    walk = walk_spf(DOMAIN, answering(records))
    assert walk.void == 0
    assert walk.allows("2001:db8::1")
    assert not walk.allows("2001:db8::2")


@pytest.mark.parametrize("path", ["v=spf1 include:news.example -all", "v=spf1 redirect=i1.example"])
def test_a_loop_ends_and_is_named(path: str) -> None:
    records = zone(path, {("i1.example", "TXT"): ("v=spf1 include:i2.example -all",),
                          ("i2.example", "TXT"): ("v=spf1 include:i1.example -all",)})  # fmt: skip
    (finding,) = check_spf(DOMAIN, answering(records))
    assert finding.severity is Severity.PROBLEM
    assert "includes itself" in finding.what


def test_a_tree_of_includes_is_not_walked_for_ever() -> None:
    asked = []
    wide = " ".join(f"include:{letter}.example" for letter in "abcdefghijkl")
    tree = {(f"{letter}.example", "TXT"): (f"v=spf1 {wide} -all",) for letter in "abcdefghijkl"}
    answer = answering(zone(f"v=spf1 {wide} -all", tree))

    def counting(name: str, kind: str):  # type: ignore[no-untyped-def]
        asked.append(name)
        return answer(name, kind)

    walk = walk_spf(DOMAIN, counting)
    assert walk.look_ups > 10
    assert len(asked) < 200


BAD = [
    "v=spf1 ipv4:192.0.2.1 -all",
    "v=spf1 ip4:192.0.2.300 -all",
    "v=spf1 ip4:2001:db8::1 -all",
    "v=spf1 ip6:192.0.2.1 -all",
    "v=spf1 ip4 -all",
    "v=spf1 include -all",
    "v=spf1 include: -all",
    "v=spf1 include:nodots -all",
    "v=spf1 a/33 -all",
    "v=spf1 a//129 -all",
    "v=spf1 a/x -all",
    "v=spf1 -all:x",
    "v=spf1 exists:%{x -all",
    "v=spf1 exists:50%.example -all",
    "v=spf1 redirect=a.example redirect=b.example",
    "v=spf1 +redirect=a.example",
    "v=spf1 \u00e9 -all",
    "v=spf1 a:x..example -all",
    "v=spf1 ~al",
    'v=spf1 "ip4:192.0.2.1" -all',
]


@pytest.mark.parametrize("record", BAD)
def test_a_record_that_cannot_be_read_is_a_problem(record: str) -> None:
    with pytest.raises(BadSpf):
        parse_spf(record)
    (finding,) = check_spf(DOMAIN, answering(zone(record)))
    assert finding.severity is Severity.PROBLEM
    assert "not valid" in finding.what


def test_only_texts_of_this_version_are_spf_records() -> None:
    texts = ("v=spf1", "v=spf10 -all", "v=spf1 -all", "spf2.0/pra", " v=spf1", "V=SPF1 a")
    assert spf_records(texts) == ["v=spf1", "v=spf1 -all", "V=SPF1 a"]


def test_without_a_record_one_is_suggested() -> None:
    (finding,) = check_spf(DOMAIN, answering({}))
    assert (finding.severity, finding.record.value) == (  # type: ignore[union-attr]
        Severity.PROBLEM,
        "v=spf1 include:YOUR-PROVIDER ~all",
    )
    (finding,) = check_spf(DOMAIN, answering({}), "192.0.2.9")
    assert finding.record is not None
    assert finding.record.value == "v=spf1 ip4:192.0.2.9 ~all"


def test_behind_a_provider_with_its_own_envelope_no_record_is_needed() -> None:
    (finding,) = check_spf(DOMAIN, answering({}), is_envelope=False)
    assert finding.severity is Severity.OK
    (finding,) = check_spf(DOMAIN, answering(zone("v=spf1 +all")), is_envelope=False)
    assert finding.severity is Severity.PROBLEM


def test_two_records_are_a_problem() -> None:
    (finding,) = check_spf(DOMAIN, answering({(DOMAIN, "TXT"): ("v=spf1 -all", "v=spf1 mx -all")}))
    assert (finding.severity, "2 SPF records" in finding.what) == (Severity.PROBLEM, True)


def test_an_include_without_a_record_is_a_problem() -> None:
    (finding,) = check_spf(DOMAIN, answering(zone("v=spf1 include:gone.example -all")))
    assert (finding.severity, "gone.example" in finding.what) == (Severity.PROBLEM, True)


@pytest.mark.parametrize(
    ("end", "severity"),
    [("-all", "ok"), ("~all", "ok"), ("?all", "warning"), ("+all", "problem"), ("", "warning"),
     ("redirect=strict.example", "ok"), ("redirect=open.example", "problem")],
)  # fmt: skip
def test_how_a_record_ends_is_judged(end: str, severity: str) -> None:
    more = {("strict.example", "TXT"): ("v=spf1 -all",), ("open.example", "TXT"): ("v=spf1 all",)}
    (finding,) = check_spf(DOMAIN, answering(zone(f"v=spf1 ip4:192.0.2.1 {end}", more)))
    assert finding.severity == severity


def test_the_all_of_an_include_does_not_end_the_record() -> None:
    more = {("i.example", "TXT"): ("v=spf1 +all",)}
    (finding,) = check_spf(DOMAIN, answering(zone("v=spf1 include:i.example -all", more)))
    assert finding.severity is Severity.OK


def test_ptr_is_a_warning() -> None:
    (finding,) = check_spf(DOMAIN, answering(zone("v=spf1 ptr -all")))
    assert (finding.severity, "ptr" in finding.what) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    ("address", "severity"), [("192.0.2.9", "ok"), ("198.51.100.1", "warning")]
)
def test_a_relay_of_our_own_must_be_allowed(address: str, severity: str) -> None:
    records = answering(zone("v=spf1 ip4:192.0.2.0/28 -ip4:198.51.100.1 -all"))
    (finding,) = check_spf(DOMAIN, records, address)
    assert finding.severity == severity


@pytest.mark.parametrize("name", [DOMAIN, "i1.example"])
def test_what_cannot_be_looked_up_is_no_problem_but_said(name: str) -> None:
    records = zone("v=spf1 include:i1.example -all")
    (finding,) = check_spf(DOMAIN, answering({**records, (name, "TXT"): FAILS}))
    assert finding.severity is Severity.WARNING
    assert "could not be checked" in finding.what


@given(st.text(max_size=300))
def test_no_text_breaks_the_judgement(text: str) -> None:
    for finding in check_spf(DOMAIN, answering(zone(f"v=spf1 {text}"))):
        assert finding.what.isprintable()
