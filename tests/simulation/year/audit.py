"""Judges what can only be judged at the end of the year: each reader, each mail, and what is left of whom."""

from collections import Counter, defaultdict

from tests.simulation.year import traces
from tests.simulation.year.model import Life
from tests.simulation.year.people import NEWSLETTER
from tests.simulation.year.year import Year

KEPT = 14
"""Nightly backups."""


def close(year: Year) -> None:
    """Judge the whole year."""
    year.ends = year.years.account()
    _judge_mails(year)
    _judge_lists(year)
    _judge_counts(year)
    _judge_backups(year)
    _judge_logs(year)
    number = traces.search_postgresql(year, year.target)
    print(f"nothing of people who were erased is in any of {number} columns on PostgreSQL")


def lives(year: Year) -> dict[str, list[Life]]:
    """All lives of each address; the last one has no reason."""
    found: dict[str, list[Life]] = defaultdict(list)
    for life in year.years.lives:
        found[life.address].append(life)
    for address in {one.address for one in year.model.readers}:
        theirs = [one for one in year.model.readers if one.address == address]
        found[address].append(Life(address, "", theirs, Counter(), set(), {}))
    return found


def _judge_mails(year: Year) -> None:
    """Nobody got a digest outside of their subscriptions, and nobody a story twice."""
    every = lives(year)
    got: Counter[tuple[str, str, int]] = Counter()
    seen: set[tuple[str, str]] = set()
    for mail in year.inbox.digests():
        slot = year.slots.get(mail.number)
        year.check(slot is not None, f"mail {mail.number} to {mail.address} came at no slot")
        if slot is None or (mail.address, mail.message_id) in seen:
            # The same mail again, after a kill: judged at its slot.
            continue
        seen.add((mail.address, mail.message_id))
        numbers = [
            number
            for number, life in enumerate(every[mail.address])
            if any(one.since <= slot and one.leaves_after(slot) for one in life.readers)
        ]
        year.check(bool(numbers), f"mail {mail.number}: {mail.address} was no reader then")
        refused = year.years.refused_at.get(mail.address)
        year.check(
            refused is None or slot < refused or len(every[mail.address]) > 1,
            f"mail {mail.number}: {mail.address} was not to be mailed any more",
        )
        got.update((mail.address, key, numbers[-1]) for key in mail.keys if numbers)
    twice = sorted(one for one, times in got.items() if times > 1)
    year.check(not twice, f"{len(twice)} stories came twice to somebody: {twice[:5]}")


def _judge_lists(year: Year) -> None:
    """Who subscribes and who is suppressed, by the lists that staff see."""
    told = {
        str(row["address"])
        for row in year.program.ask("subscriber", "list", "--newsletter", NEWSLETTER)
        if row["state"] == "active"
    }
    wanted = {one.address for one in year.years.current(NEWSLETTER)}
    year.check(
        told == wanted,
        f"`subscriber list`: {sorted(told - wanted)} too many, {sorted(wanted - told)} missing",
    )
    rows = year.program.ask("suppression", "list")
    # Of people who are erased or lost only the hash is left.
    suppressed = {
        row["address"]: row["reason"]
        for row in rows
        if row["address"] and row["address"] not in year.lost
    }
    named = {
        address: reason
        for address, reason in year.years.reasons.items()
        if reason != "erased" and address not in year.lost
    }
    year.check(
        suppressed == named,
        f"`suppression list` and the model: {sorted(suppressed.items() ^ named.items())}",
    )


def _judge_counts(year: Year) -> None:
    """What `digest list` and `digest show` count is what arrived, also of digests that are purged."""
    shown = {row["slot"]: row for row in year.program.ask("digest", "list", NEWSLETTER)}
    for slot, (sent, failed) in year.counts.items():
        if slot not in shown:
            year.check(False, f"the digest of {slot} is not on the list any more")
            continue
        counts = year.program.ask("digest", "show", str(shown[slot]["id"]))["deliveries"]
        told = (counts["sent"], counts["failed"])
        if slot in year.slots_of_gap:
            # Which of them arrived is lost; all count as had.
            told = (counts["sent"], counts["unknown"] > 0)
            sent, failed = 0, True
        year.check(
            told == (sent, failed), f"the digest of {slot} counts {counts}, not {sent, failed}"
        )


def _judge_backups(year: Year) -> None:
    """The last fourteen nights are kept, those on PostgreSQL among them."""
    kinds = Counter(path.suffix for path in year.backups())
    year.check(
        kinds[".dump"] > 0 and kinds.total() == KEPT,
        f"backups are kept: {dict(kinds)}",
    )


def _judge_logs(year: Year) -> None:
    log = year.daemons.log()
    year.check("Traceback" not in log, "the daemons' logs hold a traceback")
    addresses = {mail.address for mail in year.inbox.mails()}
    told = sorted(one for one in addresses if one in log)
    year.check(not told, f"addresses stand in a log: {told[:3]}")


def show(year: Year) -> None:
    """Print what happened."""
    happened = ", ".join(f"{act} {number}" for act, number in sorted(year.happened.items()))
    print(f"\nwhat people did: {happened}")
    ends = ", ".join(f"{word} {number:,}" for word, number in year.ends.most_common())
    print(f"each story for each reader: {ends}")
    mails = year.inbox.digests()
    print(f"{len(mails):,} mails of {len(year.counts)} digests")
