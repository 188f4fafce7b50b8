"""DMARC: the walk up the tree (RFC 9989), what is said about a record, and alignment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.doctor.dns.dmarc import check_alignment, check_dmarc
from mailer.doctor.dns.dmarc_record import dmarc_walk
from mailer.doctor.finding import Severity
from tests.support.dns_records import FAILS, Zone, answering

GOOD = "v=DMARC1; p=none; rua=mailto:dmarc@news.example"


def at(*domains: str, text: str = GOOD) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(f"_dmarc.{domain}", "TXT"): (text,) for domain in domains}


WALKS = [
    ("news.example", at("news.example"), "news.example", "news.example"),
    ("mail.news.example", at("news.example"), "news.example", "news.example"),
    ("mail.news.example", at("mail.news.example", "news.example"), "news.example", "mail.news.example"),
    ("a.mail.news.example", at("mail.news.example", "news.example"), "news.example", "news.example"),
    ("a.b.c.example", {}, "a.b.c.example", None),
    ("a.news.example", at("example", text="v=DMARC1; p=reject; psd=y"), "news.example", None),
    ("a.b.news.example", {**at("b.news.example", text="v=DMARC1; psd=n; p=none"), **at("news.example")},
     "b.news.example", "b.news.example"),
    ("a.1.2.3.4.5.6.7.8.news.example", at("a.1.2.3.4.5.6.7.8.news.example", "8.news.example"),
     "8.news.example", "a.1.2.3.4.5.6.7.8.news.example"),
]  # fmt: skip


@pytest.mark.parametrize(("domain", "zone", "organisation", "policy"), WALKS)
def test_the_walk_finds_the_organisation_and_the_record_that_counts(
    domain: str, zone: Zone, organisation: str, policy: str | None
) -> None:
    walk = dmarc_walk(domain, answering(zone))
    assert walk.organisation == organisation
    assert (walk.policy.domain if walk.policy else None) == policy


def test_the_walk_asks_for_at_most_eight_names() -> None:
    asked: list[str] = []
    look_up = answering({})

    def counting(name: str, kind: str):  # type: ignore[no-untyped-def]
        asked.append(name)
        return look_up(name, kind)

    dmarc_walk(".".join("abcdefghijklmnop"), counting)
    assert len(asked) == 8
    assert asked[1] == "_dmarc.j.k.l.m.n.o.p"


JUDGED = [
    (GOOD, "ok", "p=none"),
    ("v=DMARC1; p=reject; rua=mailto:a@news.example,mailto:b@sub.news.example", "ok", "p=reject"),
    ("v=DMARC1;p=quarantine;sp=none;rua=mailto:a@news.example!10m", "ok", "quarantine"),
    ("v=DMARC1; p=none", "warning", "rua="),
    ("v=DMARC1; rua=mailto:a@news.example", "warning", "p= is missing"),
    ("v=DMARC1; p=no; rua=mailto:a@news.example", "problem", "'no'"),
    ("v=DMARC1; p=none; rua=https://x.example/", "warning", "no mailto:"),
    ("v=DMARC1; p=none; rua=mailto:a@news.example; aspf=x", "warning", "aspf="),
    ("v=DMARC1; p=none; rua=mailto:a@news.example; t=y", "warning", "t=y"),
    ("v=DMARC1; p=none; rua=mailto:a@news.example; pct=50", "warning", "pct="),
    ("v=DMARC1; p=none; rua=mailto:a@reports.example", "warning", "does not say that it wants them"),
    ("v=dmarc1; p=none", "problem", "no DMARC record"),
    ("p=none; v=DMARC1", "problem", "no DMARC record"),
    ("v=DMARC1; broken; p=none; rua=mailto:a@news.example", "ok", "p=none"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "severity", "words"), JUDGED)
def test_a_record_is_judged(text: str, severity: str, words: str) -> None:
    look_up = answering(at("news.example", text=text))
    (finding,) = check_dmarc(dmarc_walk("news.example", look_up), look_up)
    assert (finding.severity, words in finding.what) == (severity, True), finding.what


def test_reports_to_another_domain_are_fine_if_that_agrees() -> None:
    zone = at("news.example", text="v=DMARC1; p=none; rua=mailto:a@reports.example")
    agreed = {("news.example._report._dmarc.reports.example", "TXT"): ("v=DMARC1;",)}
    look_up = answering({**zone, **agreed})
    (finding,) = check_dmarc(dmarc_walk("news.example", look_up), look_up)
    assert finding.severity is Severity.OK


def test_without_a_record_one_is_suggested() -> None:
    look_up = answering({})
    (finding,) = check_dmarc(dmarc_walk("news.example", look_up), look_up)
    assert finding.record is not None
    assert finding.record.name == "_dmarc.news.example"
    assert finding.severity is Severity.PROBLEM


def test_several_records_are_a_problem() -> None:
    look_up = answering({("_dmarc.news.example", "TXT"): (GOOD, GOOD)})
    (finding,) = check_dmarc(dmarc_walk("news.example", look_up), look_up)
    assert (finding.severity, "several" in finding.what) == (Severity.PROBLEM, True)


def test_what_cannot_be_looked_up_is_said() -> None:
    look_up = answering({("_dmarc.news.example", "TXT"): FAILS})
    (finding,) = check_dmarc(dmarc_walk("news.example", look_up), look_up)
    assert finding.what.startswith("could not be checked")


ALIGNED = [
    # From, envelope, signed by, relay signs, options of the record, severity
    ("news.example", "news.example", "news.example", False, "", "ok"),
    ("news.example", "bounce.news.example", "news.example", False, "", "ok"),
    ("news.example", "bounce.news.example", "news.example", False, "aspf=s;", "warning"),
    ("m.news.example", "m.news.example", "news.example", False, "adkim=s;", "warning"),
    ("news.example", "other.example", "news.example", False, "", "warning"),
    ("news.example", "news.example", None, False, "", "warning"),
    ("news.example", "news.example", None, True, "", "ok"),
    ("news.example", "other.example", None, True, "", "warning"),
    ("news.example", "other.example", None, False, "", "problem"),
    ("news.example", "other.example", "another.example", False, "", "problem"),
]  # fmt: skip


@pytest.mark.parametrize(("author", "envelope", "signer", "relay", "options", "severity"), ALIGNED)
def test_alignment_is_judged(
    author: str, envelope: str, signer: str | None, options: str, severity: str, *, relay: bool
) -> None:
    text = f"v=DMARC1; {options} p=none"
    look_up = answering(at("news.example", "other.example", "another.example", text=text))
    (finding,) = check_alignment(
        dmarc_walk(author, look_up),
        dmarc_walk(envelope, look_up),
        () if signer is None else (dmarc_walk(signer, look_up),),
        relay_signs=relay,
    )
    assert finding.severity == severity, finding.what


AUTHOR = "letters.news.example"


@pytest.mark.parametrize("place", ["news.example", AUTHOR, f"bounce.{AUTHOR}"])
def test_without_a_record_domains_above_and_below_will_be_aligned(place: str) -> None:
    look_up = answering({})
    walk, other = dmarc_walk(AUTHOR, look_up), dmarc_walk(place, look_up)
    (finding,) = check_alignment(walk, other, (other,), relay_signs=False)
    assert finding.severity is Severity.OK, finding.what
    (missing,) = check_dmarc(walk, look_up, "news.example")
    assert missing.record is not None
    look_up = answering(at(missing.record.name.removeprefix("_dmarc.")))
    walk, other = dmarc_walk(AUTHOR, look_up), dmarc_walk(place, look_up)
    (finding,) = check_alignment(walk, other, (other,), relay_signs=False)
    assert finding.severity is Severity.OK, finding.what


def test_a_signature_by_the_domain_above_needs_a_record_there() -> None:
    look_up = answering(at(AUTHOR))
    walk = dmarc_walk(AUTHOR, look_up)
    (finding,) = check_alignment(
        walk, walk, (dmarc_walk("news.example", look_up),), relay_signs=False
    )
    assert finding.severity is Severity.WARNING
    assert "_dmarc.news.example" in (finding.do or "")


def test_behind_a_provider_with_its_own_envelope_only_a_mail_can_tell() -> None:
    walk = dmarc_walk("news.example", answering(at("news.example")))
    (finding,) = check_alignment(walk, None, (), relay_signs=True)
    assert (finding.severity, "--eml" in (finding.do or "")) == ("ok", True)


@given(st.text(max_size=300))
def test_no_text_breaks_the_judgement(text: str) -> None:
    look_up = answering(at("news.example", text=f"v=DMARC1; {text}"))
    for finding in check_dmarc(dmarc_walk("news.example", look_up), look_up):
        assert finding.what.isprintable()
