"""Which articles each group of readers gets, and which groups get the same: the cohorts of a digest.

Pure. Counts readers, never sees one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

MAX_COHORTS: Final = 50
"""Where there are more lists than this, the smallest cohorts get what is new to all of them. Where nothing
is, they get what is new to as many as possible, for nobody waits who is due enough for a digest.
"""


@dataclass(frozen=True)
class CandidateArticle:
    """An article that a build may use.

    Attributes:
        backlog: only a newcomer's first digest may take it.
        waited: it was a candidate already when the schedule's last digest was built.
        leads: staff want it first, for everybody to whom it is due.
    """

    id: int
    published_at: datetime
    backlog: bool
    waited: bool
    leads: bool = False


@dataclass(frozen=True)
class Group:
    """Readers who are due exactly the same.

    Attributes:
        start: articles with a higher id are due.
        newcomer: their first digest is still to come.
        editions: what they have had that holds a candidate.
    """

    start: int
    newcomer: bool
    editions: tuple[int, ...]
    readers: int = field(compare=False)


@dataclass(frozen=True)
class DigestLimits:
    """What a schedule allows.

    Attributes:
        newcomers: how many of the articles before their start newcomers may have.
    """

    min_articles: int
    max_articles: int
    newcomers: int


@dataclass(frozen=True)
class Cohort:
    """Readers who get the same list.

    Attributes:
        articles: the one that staff want first, then newest first; none in a letter.
        by_urgency: the same ones; where there is no room for all, the last ones wait.
        more: how many articles are due to each of these readers beside them, at least.
    """

    articles: tuple[int, ...]
    by_urgency: tuple[int, ...]
    more: int
    groups: tuple[Group, ...]

    @property
    def readers(self) -> int:
        """How many readers are in it."""
        return sum(group.readers for group in self.groups)

    def with_articles(self, kept: Collection[int]) -> "Cohort":
        """The same readers with only these articles of their list."""
        return replace(
            self,
            articles=tuple(one for one in self.articles if one in kept),
            by_urgency=tuple(one for one in self.by_urgency if one in kept),
            more=self.more + len(self.articles) - len(kept),
        )


@dataclass(frozen=True)
class Selection:
    """What a digest holds for whom.

    Attributes:
        cohorts: largest first.
        nothing_new: groups to which no article is due.
        too_few: groups to which fewer are due than a digest must have; these wait.
        carried_over: articles that are due to somebody who does not get them this time.
        room: how many articles one mail had room for, where that was fewer than the schedule allows.
    """

    cohorts: tuple[Cohort, ...]
    nothing_new: tuple[Group, ...]
    too_few: tuple[Group, ...]
    carried_over: frozenset[int]
    room: int | None = None


@dataclass(frozen=True)
class _Share:
    """Groups that are due the same, what that is, and what they get of it (nothing: they wait)."""

    start: int
    due: frozenset[int]
    articles: tuple[int, ...]
    by_urgency: tuple[int, ...]
    groups: tuple[Group, ...]


def choose(
    candidates: Iterable[CandidateArticle],
    editions: Mapping[int, frozenset[int]],
    groups: Sequence[Group],
    limits: DigestLimits,
) -> Selection:
    """Decide who gets what.

    A reader is due the candidates that came in after their start, no backlog, and that no live edition
    of theirs holds; a newcomer also the newest ones up to their start, backlog or not. Where more are
    due than a digest may hold, the one that staff want first has a place, then those that waited
    already, then the newest.

    Args:
        editions: the candidates in each edition that holds some.
    """
    newest_first = sorted(candidates, key=lambda one: (one.published_at, one.id), reverse=True)
    alike: dict[tuple[int, bool, frozenset[int]], list[Group]] = {}
    for group in groups:
        had = frozenset[int]().union(*(editions.get(one, frozenset()) for one in group.editions))
        alike.setdefault((group.start, group.newcomer, had), []).append(group)
    shares = [
        _share(newest_first, start, _due(newest_first, start, newcomer, had, limits), these, limits)
        for (start, newcomer, had), these in alike.items()
    ]
    cohorts = _cohorts(shares)
    if len(cohorts) > MAX_COHORTS:
        shares = _with_fewer_lists(newest_first, shares, cohorts, limits)
        cohorts = _cohorts(shares)
    waiting = [share for share in shares if not share.articles]
    return Selection(
        cohorts=tuple(cohorts),
        nothing_new=tuple(group for share in waiting if not share.due for group in share.groups),
        too_few=tuple(group for share in waiting if share.due for group in share.groups),
        carried_over=frozenset().union(*(_carried_over(share) for share in shares)),
    )


def letter_to(groups: Sequence[Group]) -> Selection:
    """The choice of a digest without articles: everybody gets it."""
    everybody = Cohort(articles=(), by_urgency=(), more=0, groups=tuple(groups))
    return Selection((everybody,) if groups else (), (), (), frozenset())


def with_shorter_lists(choice: Selection, cohorts: Sequence[Cohort]) -> Selection:
    """The choice with these cohorts, which have fewer articles than they had; the others wait.

    Args:
        cohorts: in the order of those of the choice.
    """
    waiting: set[int] = set()
    room: int | None = None
    for before, after in zip(choice.cohorts, cohorts, strict=True):
        left_out = set(before.articles).difference(after.articles)
        if left_out:
            # As with overflow: what came in before a newcomer's start is for the first digest alone.
            start = min(group.start for group in before.groups)
            waiting.update(one for one in left_out if one > start)
            room = min(len(after.articles), room or len(after.articles))
    return replace(
        choice, cohorts=tuple(cohorts), carried_over=choice.carried_over | waiting, room=room
    )


def _carried_over(share: _Share) -> frozenset[int]:
    """What is still due to these groups afterwards."""
    if not share.articles:
        return share.due
    # What came in before a newcomer's start is for the first digest alone, which this is.
    return frozenset(one for one in share.due - set(share.articles) if one > share.start)


def _due(
    newest_first: Sequence[CandidateArticle],
    start: int,
    newcomer: bool,
    had: frozenset[int],
    limits: DigestLimits,
) -> frozenset[int]:
    due = {one.id for one in newest_first if one.id > start and not one.backlog}
    if newcomer:
        due.update([one.id for one in newest_first if one.id <= start][: limits.newcomers])
    return frozenset(due - had)


def _share(
    newest_first: Sequence[CandidateArticle],
    start: int,
    due: frozenset[int],
    groups: Sequence[Group],
    limits: DigestLimits,
) -> _Share:
    """The share of these groups, with as many of the articles due to them as a digest may hold."""
    articles: list[CandidateArticle] = []
    urgent: list[CandidateArticle] = []
    if due and len(due) >= limits.min_articles:
        mine = [one for one in newest_first if one.id in due]
        # What came in before a newcomer's start did not wait for that reader.
        urgent = sorted(mine, key=lambda one: (not one.leads, not (one.waited and one.id > start)))
        urgent = urgent[: limits.max_articles]
        kept = {one.id for one in urgent}
        articles = sorted((one for one in mine if one.id in kept), key=lambda one: not one.leads)
    return _Share(
        start,
        due,
        tuple(one.id for one in articles),
        tuple(one.id for one in urgent),
        tuple(groups),
    )


def _cohorts(shares: Iterable[_Share]) -> list[Cohort]:
    """One cohort for each list that somebody gets, largest first."""
    by_list: dict[tuple[int, ...], list[_Share]] = {}
    for share in shares:
        if share.articles:
            by_list.setdefault(share.articles, []).append(share)
    cohorts = [
        Cohort(
            articles=articles,
            # Of those that waited for some readers and are new to others, the latest starters decide.
            by_urgency=max(alike, key=lambda share: (share.start, share.by_urgency)).by_urgency,
            more=min(len(share.due) for share in alike) - len(articles),
            groups=tuple(group for share in alike for group in share.groups),
        )
        for articles, alike in by_list.items()
    ]
    return sorted(cohorts, key=lambda cohort: (-cohort.readers, cohort.articles))


def _with_fewer_lists(
    newest_first: Sequence[CandidateArticle],
    shares: Sequence[_Share],
    cohorts: Sequence[Cohort],
    limits: DigestLimits,
) -> list[_Share]:
    """The same shares, where those of the smallest cohorts get what is due to several of them."""
    kept = {cohort.articles for cohort in cohorts[: MAX_COHORTS - 1]}
    small: dict[frozenset[int], list[_Share]] = {}
    for share in shares:
        if share.articles and share.articles not in kept:
            small.setdefault(share.due, []).append(share)
    found = [share for share in shares if not share.articles or share.articles in kept]
    for common, dues in _in_common(small, limits.min_articles):
        these = [share for due in dues for share in small[due]]
        start = max(share.start for share in these)
        shorter = _share(newest_first, start, common, (), limits)
        found += [
            replace(share, articles=shorter.articles, by_urgency=shorter.by_urgency)
            for share in these
        ]
    return found


def _in_common(
    small: Mapping[frozenset[int], Sequence[_Share]], least: int
) -> list[tuple[frozenset[int], list[frozenset[int]]]]:
    """What is due to all of these, with at least so many articles in it; else to parts of them.

    The order in which parts are made depends on what is due and to how many readers alone: a plan and the
    build after it must make the same ones, and they need not get the groups in the same order.
    """
    everything = frozenset.intersection(*small)
    if len(everything) >= least:
        return [(everything, list(small))]
    parts: list[tuple[frozenset[int], list[frozenset[int]]]] = []
    for due in sorted(small, key=lambda due: (-_readers(small[due]), sorted(due))):
        for number, (common, dues) in enumerate(parts):
            if len(common & due) >= least:
                parts[number] = (common & due, [*dues, due])
                break
        else:
            parts.append((due, [due]))
    return parts


def _readers(shares: Sequence[_Share]) -> int:
    return sum(group.readers for share in shares for group in share.groups)
