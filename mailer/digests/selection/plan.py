"""What a digest would hold, for whom, and why others get nothing: reading and choosing, no writing.

A build runs the same code on the candidates that it froze.

Every subscription of the newsletter that was not left is counted once, as a reader of an edition or under
one of these reasons:

| reason | means |
|---|---|
| `other_schedule` | the reader chose another schedule of the newsletter |
| `erased` | the reader's data was erased |
| `suppressed` | the address gets no mail |
| `paused` | the reader paused |
| `nothing_new` | the reader has had everything, or it came in before their start |
| `too_few` | fewer articles are due than the schedule's `min_articles`; they wait |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.schedules.calendar import (
    Rule,
    Slot,
    longest_gap,
    longest_gap_by_the_clock,
    slots,
)
from mailer.digests.selection import article_queries as read
from mailer.digests.selection.article_queries import Source
from mailer.digests.selection.choose import (
    CandidateArticle,
    Cohort,
    DigestLimits,
    Group,
    Selection,
    choose,
    letter_to,
)
from mailer.digests.selection.forecast import number_expiring
from mailer.digests.selection.reader_groups import (
    Frame,
    Readers,
    grouped_readers,
    load_excluded,
    load_groups,
    load_reader,
)
from mailer.errors import NotFound
from mailer.models import Article, Edits, Holds, Schedule

NOTHING_NEW = "nothing_new"
TOO_FEW = "too_few"

_LEAST_MAX_AGE = timedelta(days=30)


Grouping = Callable[[Session, Readers, Frame], list[Group]]
"""Puts readers into groups: `reader_groups.load_groups`, or one that keeps more of what it read."""


@dataclass(frozen=True)
class Plan:
    """What a schedule would send at a slot.

    Attributes:
        frame: what readers were told apart by.
        readers: the statement that put them into groups.
        groups: all of them, also those who get nothing.
        editions: every edition that holds a candidate, with the candidates in it.
        articles: what the cohorts' lists hold, by id.
        edits: what staff changed in it.
    """

    slot: Slot
    frame: Frame
    readers: Readers
    candidates: tuple[CandidateArticle, ...]
    groups: tuple[Group, ...]
    choice: Selection
    editions: Mapping[int, frozenset[int]]
    articles: Mapping[int, Article]
    edits: Edits | None

    @property
    def due(self) -> int:
        """How many readers get something."""
        return sum(cohort.readers for cohort in self.choice.cohorts)

    @property
    def reason(self) -> str | None:
        """Why nothing is sent, or None where something is."""
        if self.choice.cohorts:
            return None
        waiting = {
            NOTHING_NEW: _readers(self.choice.nothing_new),
            TOO_FEW: _readers(self.choice.too_few),
        }
        told = ", ".join(f"{reason}: {number}" for reason, number in waiting.items() if number)
        return f"nobody is due ({told or 'no readers'})"


@dataclass(frozen=True)
class ReaderPlan:
    """What one reader gets: a cohort's list, or nothing for a reason."""

    cohort: Cohort | None
    reason: str | None


def max_age(schedule: Schedule) -> timedelta:
    """How old an article may be at a slot of this schedule: never less than lies between two slots."""
    rule = Rule.of(schedule)
    wanted = schedule.max_age or max(_LEAST_MAX_AGE, 2 * longest_gap_by_the_clock(rule))
    return max(wanted, longest_gap(rule))


def plan_digest(session: Session, schedule: Schedule, slot: Slot) -> Plan:
    """What would be sent if the digest of that slot were built now."""
    return plan_from(session, schedule, slot, source_at(schedule, slot), digest_id=None)


def source_at(schedule: Schedule, slot: Slot) -> Source:
    """The articles that the schedule's digest of that slot may use; none where it is a letter."""
    if schedule.holds is not Holds.DUE:
        return read.chosen(schedule)
    return read.usable(schedule.newsletter_id, slot.due_at, max_age(schedule))


def plan_from(
    session: Session,
    schedule: Schedule,
    slot: Slot,
    source: Source,
    digest_id: int | None,
    grouping: Grouping = load_groups,
) -> Plan:
    """The plan on these candidates, as they are or as they were frozen for `digest_id`."""
    edits = read.load_edits(session, schedule.id, digest_id)
    lead = None if edits is None else edits.lead_id
    candidates = [
        replace(one, leads=one.id == lead)
        for one in read.load_candidates(session, source, schedule.id, digest_id)
    ]
    editions = read.load_editions(session, source)
    frame = Frame.around([one.id for one in candidates], editions)
    readers = grouped_readers(schedule, frame)
    groups = grouping(session, readers, frame)
    limits = DigestLimits(schedule.min_articles, schedule.max_articles, schedule.newcomers)
    choice = (
        letter_to(groups)
        if schedule.holds is Holds.NONE
        else choose(candidates, editions, groups, limits)
    )
    return Plan(
        slot=slot,
        frame=frame,
        readers=readers,
        candidates=tuple(candidates),
        groups=tuple(groups),
        choice=choice,
        editions=editions,
        articles=_load_articles(session, choice),
        edits=edits,
    )


def excluded(session: Session, schedule: Schedule, plan: Plan) -> dict[str, int]:
    """How many of the newsletter's readers get nothing, by reason; see the module's table."""
    found = load_excluded(session, schedule)
    found[NOTHING_NEW] = _readers(plan.choice.nothing_new)
    found[TOO_FEW] = _readers(plan.choice.too_few)
    return {reason: number for reason, number in found.items() if number}


def for_reader(session: Session, schedule: Schedule, plan: Plan, address_key: str) -> ReaderPlan:
    """What the plan holds for the reader with this address key, and why nothing where it is nothing.

    Raises:
        NotFound: nobody with that address subscribes to the newsletter.
    """
    found = load_reader(session, plan.readers, plan.frame, schedule, address_key)
    if found is None:
        raise NotFound(
            "nobody with that address subscribes to this newsletter; "
            "`mailer subscriber show` tells about an address"
        )
    if isinstance(found, str):
        return ReaderPlan(None, found)
    for cohort in plan.choice.cohorts:
        if found in cohort.groups:
            return ReaderPlan(cohort, None)
    return ReaderPlan(None, NOTHING_NEW if found in plan.choice.nothing_new else TOO_FEW)


def sample(
    session: Session, schedule: Schedule, plan: Plan
) -> tuple[Cohort, Mapping[int, Article]] | None:
    """What most readers get, and the articles in it by id; where nobody is due, what somebody would
    get who has had nothing yet. None where there is nothing to show.
    """
    if plan.choice.cohorts:
        return plan.choice.cohorts[0], plan.articles
    nobody = Group(start=0, newcomer=False, editions=(), readers=0)
    limits = DigestLimits(1, schedule.max_articles, 0)
    choice = (
        letter_to([nobody])
        if schedule.holds is Holds.NONE
        else choose(plan.candidates, {}, [nobody], limits)
    )
    if not choice.cohorts:
        return None
    return choice.cohorts[0], _load_articles(session, choice)


def expiring(schedule: Schedule, plan: Plan) -> int:
    """How many of the articles that are carried over will be too old before their turn comes, if as many
    come in for each slot as were published between the slot before this one and this one.
    """
    rule, age = Rule.of(schedule), max_age(schedule)
    waiting = [one.published_at for one in plan.candidates if one.id in plan.choice.carried_over]
    before = [
        slot.due_at for slot in slots(rule, plan.slot.due_at - longest_gap(rule), plan.slot.due_at)
    ]
    since = next((due_at for due_at in reversed(before) if due_at < plan.slot.due_at), None)
    intake = sum(
        not one.backlog and since is not None and one.published_at > since
        for one in plan.candidates
    )
    coming = (slot.due_at for slot in slots(rule, plan.slot.due_at))
    room = plan.choice.room or schedule.max_articles
    limits = DigestLimits(schedule.min_articles, room, schedule.newcomers)
    return number_expiring(waiting, intake, coming, age, limits)


def articles_of(plan: Plan, cohort: Cohort) -> list[Article]:
    """The articles of this cohort's list, as they are printed."""
    return [plan.articles[article_id] for article_id in cohort.articles]


def _load_articles(session: Session, choice: Selection) -> dict[int, Article]:
    wanted = sorted({one for cohort in choice.cohorts for one in cohort.articles})
    found = session.scalars(select(Article).where(Article.id.in_(wanted)))
    return {article.id: article for article in found}


def _readers(groups: tuple[Group, ...]) -> int:
    return sum(group.readers for group in groups)
