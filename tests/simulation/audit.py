"""Judges what can only be judged at the end of the week, and prints the table of what was sent."""

import re
from collections import Counter

from tests.simulation import phrases
from tests.simulation.inbox import Received
from tests.simulation.people import STAFF, People
from tests.simulation.program import WeekStopped
from tests.simulation.simulation import Tally

LANGUAGES = ("en", "hy", "ru")


def wait_for_reports(people: People) -> None:
    """A report comes a moment after the last mail of its digest."""
    people.program.wait(lambda: _reports(people).keys() >= _went_out(people), "the reports")


def close(people: People) -> None:
    """Judge the whole week, from the files of mails."""
    inbox, model = people.inbox, people.model
    model.refused |= people.relay.gone
    people.ends = model.account()
    known = {one.address for one in model.readers}
    for mail in inbox.digests():
        where = f"mail {mail.number} to {mail.address}"
        model.check(mail.number in people.judged, f"{where} came at no slot")
        model.check(mail.address in known, f"{where} is to nobody that confirmed")
    _judge_reports(people)
    rows = people.program.ask("delivery", "list", "--status", "sent")
    told = {(one["digest"], one["address"]) for one in rows}
    got = {(one.digest, one.address) for one in inbox.digests()}
    model.check(told == got, f"ledger and receiver differ: {told ^ got}")
    for tally in people.tallies.values():
        model.check(tally.digests > 0, "a newsletter did not come out")
    courier = people.tallies.get("courier", Tally())
    model.check(courier.most_more > 0, "no digest had more than it has room for")
    try:
        # A header with an address in other letters is for SMTPUTF8 alone (RFC 6532): no rule allows it.
        plain = [one for one in inbox.mails() if one.address.isascii()]
        people.program.type("lint", *(str(inbox.path(one.number)) for one in plain))
    except WeekStopped as stop:
        model.check(False, f"lint: {stop}")
    log = people.daemons.log()
    model.check("Traceback" not in log, "the daemons' logs hold a traceback")
    model.check(not any(one in log for one in known), "an address stands in a log")


def show(people: People, engine: str) -> None:
    """Print what was sent, in a table."""
    print(f"\n{engine:10}  digests  mails  readers  stories")
    for newsletter in people.model.takes:
        here = {one.address for one in people.model.readers if one.newsletter == newsletter}
        tally = people.tallies.get(newsletter, Tally())
        stories = len(people.model.stories_of(newsletter))
        print(f"{newsletter:10}  {tally.digests:7}  {tally.mails:5}  {len(here):7}  {stories:7}")
    others = len(people.inbox.mails()) - len(people.inbox.digests())
    print(f"{'others':10}  {'':7}  {others:5}   (confirmations, links, reviews, reports, alerts)")
    ends = ", ".join(f"{word} {number}" for word, number in people.ends.most_common())
    print(f"each story for each reader: {ends}")


def _judge_reports(people: People) -> None:
    """Each digest has one report, and that says what arrived."""
    counted = Counter(one.number for one in _reports(people).values())
    model, went_out = people.model, _went_out(people)
    number = sum(_report_of(one) is not None for one in people.inbox.to(STAFF))
    model.check(
        _reports(people).keys() == went_out and counted.total() == number,
        f"{number} reports, of {sorted(_reports(people))}, and {sorted(went_out)} went out",
    )
    for digest, report in _reports(people).items():
        mails = [one for one in people.inbox.digests() if one.digest == digest]
        language = model.languages[report.newsletter]
        sent = phrases.number_after(language, phrases.SENT, report.text)
        model.check(
            sent == len({one.address for one in mails}),
            f"the report of digest {digest} says {sent} sent, and {len(mails)} came",
        )
        unclear = phrases.number_after(language, phrases.IN_DOUBT, report.text)
        model.check(unclear == 0, f"the report of digest {digest} says {unclear} in doubt")
    failed = sum(
        phrases.number_after(model.languages[one.newsletter], phrases.FAILED, one.text) or 0
        for one in _reports(people).values()
    )
    model.check(
        failed == people.refused,
        f"reports say {failed} failed, and the relay refused {people.refused}",
    )


def _reports(people: People) -> dict[int, Received]:
    """The report of each digest; the latest one where there were several."""
    found = ((_report_of(one), one) for one in people.inbox.to(STAFF))
    return {digest: one for digest, one in found if digest is not None}


def _report_of(mail: Received) -> int | None:
    """The digest that a mail to staff is the report of."""
    found = re.search(r"mailer digest show (\d+)", mail.text)
    is_report = any(
        phrases.number_after(one, phrases.SENT, mail.text) is not None for one in LANGUAGES
    )
    return int(found[1]) if found is not None and is_report else None


def _went_out(people: People) -> set[int]:
    """The digests of which a mail arrived."""
    return {one.digest for one in people.inbox.digests() if one.digest is not None}
