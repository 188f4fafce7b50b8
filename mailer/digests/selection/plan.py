"""Plans a digest: what it would hold, for whom, and why others get nothing.

Never writes anything but a build's temporary table of readers. A build runs the same code as a plan, on the
candidates that it froze.

Every subscription of the newsletter that was not cancelled is counted once, as a reader of an edition or
under one of these reasons:

| reason | means |
|---|---|
| `other_schedule` | the reader chose another schedule of the newsletter |
| `erased` | the reader's data was erased |
| `suppressed` | the address gets no mail |
| `paused` | the reader paused |
| `nothing_new` | the reader has had everything, or it came in before their start |
| `too_few` | fewer articles are due than the schedule's `min_articles`; they wait |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.schedules.calendar import (
    Rule,
    Slot,
    longest_gap,
    longest_gap_by_the_clock,
    slots,
)
from mailer.digests.schedules.schedule_options import ScheduleLimits
from mailer.digests.selection import article_queries
from mailer.digests.selection.article_queries import ArticleSource
from mailer.digests.selection.build_readers import record_build_readers
from mailer.digests.selection.choose import (
    CandidateArticle,
    Cohort,
    ReaderGroup,
    Selection,
    choose,
    letter_to,
)
from mailer.digests.selection.forecast import number_expiring
from mailer.digests.selection.reader_groups import (
    Frame,
    GroupedReaders,
    grouped_readers,
    load_excluded,
    load_groups,
    load_reader,
)
from mailer.errors import NotFound
from mailer.models import Article, Edits, Holds, Schedule

NOTHING_NEW: Final = "nothing_new"
TOO_FEW: Final = "too_few"

_LEAST_MAX_AGE: Final = timedelta(days=30)


@dataclass(frozen=True)
class Plan:
    """What a schedule would send at a slot.

    Attributes:
        frame: what tells readers apart.
        readers_statement: selects the readers with their groups.
        groups: all groups, also those that get nothing.
        editions: every edition that holds a candidate, with the candidates in it.
        articles: what the cohorts' lists hold, by id.
        edits: what staff changed in it.
    """

    slot: Slot
    frame: Frame
    readers_statement: GroupedReaders
    candidates: tuple[CandidateArticle, ...]
    groups: tuple[ReaderGroup, ...]
    choice: Selection
    editions: Mapping[int, frozenset[int]]
    articles: Mapping[int, Article]
    edits: Edits | None

    @property
    def reader_count(self) -> int:
        """How many readers get something."""
        return sum(cohort.readers for cohort in self.choice.cohorts)

    @property
    def reason(self) -> str | None:
        """Why nothing is sent, or None if something is."""
        if self.choice.cohorts:
            return None
        waiting = _waiting(self.choice).items()
        reasons = ", ".join(f"{reason}: {number}" for reason, number in waiting if number)
        return f"nobody is due ({reasons or 'no readers'})"


@dataclass(frozen=True)
class ReaderPlan:
    """What one reader gets: a cohort's list, or nothing for a reason."""

    cohort: Cohort | None
    reason: str | None


def max_age(schedule: Schedule) -> timedelta:
    """Return how old an article may be at a slot of this schedule: never less than lies between two slots.

    Raises:
        BadSchedule: the schedule's rule cannot be parsed.
    """
    rule = Rule.of(schedule)
    wanted = schedule.max_age or max(_LEAST_MAX_AGE, 2 * longest_gap_by_the_clock(rule))
    return max(wanted, longest_gap(rule))


def plan_digest(session: Session, schedule: Schedule, slot: Slot) -> Plan:
    """Plan what would be sent if the digest of that slot were built now."""
    return plan_from(session, schedule, slot, source_at(schedule, slot), digest_id=None)


def source_at(schedule: Schedule, slot: Slot) -> ArticleSource:
    """Select the articles that the schedule's digest of that slot may use; none for a letter."""
    if schedule.holds is not Holds.DUE:
        return article_queries.chosen(schedule)
    return article_queries.usable(schedule.newsletter_id, slot.due_at, max_age(schedule))


def plan_from(
    session: Session,
    schedule: Schedule,
    slot: Slot,
    source: ArticleSource,
    digest_id: int | None,
) -> Plan:
    """Plan on these candidates, as they are, or as they were frozen for the build of `digest_id`.

    A build's readers are recorded, because writing its deliveries needs them again.
    """
    edits = article_queries.load_edits(session, schedule.id, digest_id)
    lead = None if edits is None else edits.lead_id
    candidates = [
        replace(candidate, leads=candidate.id == lead)
        for candidate in article_queries.load_candidates(session, source, schedule.id, digest_id)
    ]
    editions = article_queries.load_editions(session, source)
    frame = Frame.around([candidate.id for candidate in candidates], editions)
    readers = grouped_readers(schedule, frame)
    if digest_id is None:
        groups = load_groups(session, readers.subquery(), frame)
    else:
        groups = record_build_readers(session, readers, frame)
    limits = ScheduleLimits.of(schedule)
    choice = (
        letter_to(groups)
        if schedule.holds is Holds.NONE
        else choose(candidates, editions, groups, limits)
    )
    return Plan(
        slot=slot,
        frame=frame,
        readers_statement=readers,
        candidates=tuple(candidates),
        groups=tuple(groups),
        choice=choice,
        editions=editions,
        articles=_load_articles(session, choice),
        edits=edits,
    )


def excluded(session: Session, schedule: Schedule, plan: Plan) -> dict[str, int]:
    """Count the newsletter's readers who get nothing, by reason; see the module's table."""
    numbers = load_excluded(session, schedule) | _waiting(plan.choice)
    return {reason: number for reason, number in numbers.items() if number}


def for_reader(session: Session, schedule: Schedule, plan: Plan, address_key: str) -> ReaderPlan:
    """Find what the plan holds for the reader with this address key, or why it holds nothing.

    Raises:
        NotFound: nobody with that address subscribes to the newsletter.
    """
    group = load_reader(session, plan.readers_statement, plan.frame, schedule, address_key)
    if group is None:
        raise NotFound(
            "nobody with that address subscribes to this newsletter; "
            "`mailer subscriber show` shows what is known about an address"
        )
    if isinstance(group, str):
        return ReaderPlan(None, group)
    for cohort in plan.choice.cohorts:
        if group in cohort.groups:
            return ReaderPlan(cohort, None)
    return ReaderPlan(None, NOTHING_NEW if group in plan.choice.nothing_new else TOO_FEW)


def sample(
    session: Session, schedule: Schedule, plan: Plan
) -> tuple[Cohort, Mapping[int, Article]] | None:
    """Choose what to show of the plan: what most readers get, and the articles in it by id.

    Returns:
        If nobody is due, what a reader would get who has had nothing yet. None if there is nothing to show.
    """
    if plan.choice.cohorts:
        return plan.choice.cohorts[0], plan.articles
    nobody = ReaderGroup(start=0, newcomer=False, editions=(), readers=0)
    limits = ScheduleLimits(1, schedule.max_articles, newcomers=0)
    choice = (
        letter_to([nobody])
        if schedule.holds is Holds.NONE
        else choose(plan.candidates, {}, [nobody], limits)
    )
    if not choice.cohorts:
        return None
    return choice.cohorts[0], _load_articles(session, choice)


def expiring(schedule: Schedule, plan: Plan) -> int:
    """Estimate how many of the articles that are carried over will be too old before their turn comes.

    Assumes that as many articles come in for each slot as were published between the slot before this one
    and this one.

    Raises:
        BadSchedule: the schedule's rule cannot be parsed.
    """
    rule, age = Rule.of(schedule), max_age(schedule)
    waiting = [
        candidate.published_at
        for candidate in plan.candidates
        if candidate.id in plan.choice.carried_over
    ]
    before = [
        slot.due_at for slot in slots(rule, plan.slot.due_at - longest_gap(rule), plan.slot.due_at)
    ]
    since = next((due_at for due_at in reversed(before) if due_at < plan.slot.due_at), None)
    intake = sum(
        not candidate.backlog and since is not None and candidate.published_at > since
        for candidate in plan.candidates
    )
    coming = (slot.due_at for slot in slots(rule, plan.slot.due_at))
    limits = ScheduleLimits.of(schedule)
    limits = replace(limits, max_articles=plan.choice.room or schedule.max_articles)
    return number_expiring(waiting, intake, coming, age, limits)


def articles_of(plan: Plan, cohort: Cohort) -> list[Article]:
    """List the articles of this cohort as they are printed."""
    return [plan.articles[article_id] for article_id in cohort.articles]


def _load_articles(session: Session, choice: Selection) -> dict[int, Article]:
    wanted = sorted({article for cohort in choice.cohorts for article in cohort.articles})
    articles = session.scalars(select(Article).where(Article.id.in_(wanted)))
    return {article.id: article for article in articles}


def _waiting(choice: Selection) -> dict[str, int]:
    """Count the readers who get nothing although the build looked at them."""
    reasons = {NOTHING_NEW: choice.nothing_new, TOO_FEW: choice.too_few}
    return {reason: sum(group.readers for group in groups) for reason, groups in reasons.items()}
