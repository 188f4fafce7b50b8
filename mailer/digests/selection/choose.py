"""Chooses the articles that each group of readers gets, and puts groups that get the same into cohorts.

Pure. Never knows a reader: only how many are in a group.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from mailer.digests.schedules.schedule_options import ScheduleLimits

MAX_COHORTS: Final = 50
"""If there are more lists than this, the smallest cohorts get what is new to all of them. If nothing is, they
get what is new to as many as possible: no reader waits to whom enough is due for a digest."""


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
class ReaderGroup:
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
class Cohort:
    """Readers who get the same list.

    Attributes:
        articles: the one that staff want first, then newest first; none in a letter.
        by_urgency: the same ones; if not all fit, the last ones wait.
        more: at least so many other articles are due to each of these readers.
    """

    articles: tuple[int, ...]
    by_urgency: tuple[int, ...]
    more: int
    groups: tuple[ReaderGroup, ...]

    @property
    def readers(self) -> int:
        """The number of its readers."""
        return sum(group.readers for group in self.groups)

    def with_articles(self, kept: Collection[int]) -> "Cohort":
        """Keep only these articles of the list."""
        return replace(
            self,
            articles=tuple(filter(kept.__contains__, self.articles)),
            by_urgency=tuple(filter(kept.__contains__, self.by_urgency)),
            more=self.more + len(self.articles) - len(kept),
        )


@dataclass(frozen=True)
class Selection:
    """What a digest holds for whom.

    Attributes:
        cohorts: largest first.
        nothing_new: groups to which no article is due.
        too_few: groups to which fewer are due than a digest must have; these wait.
        carried_over: articles that are due to a reader who does not get them this time.
        room: how many articles fit into one mail, if that was fewer than the schedule allows.
    """

    cohorts: tuple[Cohort, ...]
    nothing_new: tuple[ReaderGroup, ...]
    too_few: tuple[ReaderGroup, ...]
    carried_over: frozenset[int]
    room: int | None = None


@dataclass(frozen=True)
class _Share:
    """Groups to which the same articles are due, and those that they get.

    Attributes:
        due: the articles that are due to them.
        articles: those that they get, in the order of the list; none if they wait.
        by_urgency: the same ones, see `Cohort`.
    """

    start: int
    due: frozenset[int]
    articles: tuple[int, ...]
    by_urgency: tuple[int, ...]
    groups: tuple[ReaderGroup, ...]


def choose(
    candidates: Iterable[CandidateArticle],
    editions: Mapping[int, frozenset[int]],
    groups: Sequence[ReaderGroup],
    limits: ScheduleLimits,
) -> Selection:
    """Decide who gets what.

    Due to a reader are the candidates that came in after their start, are not backlog, and are in no live
    edition of theirs; to a newcomer also the newest ones up to their start, backlog or not. If more are
    due than a digest may hold, the one that staff want first has a place, then those that waited
    already, then the newest.

    Args:
        editions: the candidates in each edition that holds some.
    """
    newest_first = sorted(
        candidates, key=lambda article: (article.published_at, article.id), reverse=True
    )
    alike: dict[tuple[int, bool, frozenset[int]], list[ReaderGroup]] = {}
    for group in groups:
        had = had_by(group, editions)
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


def had_by(group: ReaderGroup, editions: Mapping[int, frozenset[int]]) -> frozenset[int]:
    """Return the candidates that these readers have had."""
    return frozenset[int]().union(*(editions.get(edition, ()) for edition in group.editions))


def letter_to(groups: Sequence[ReaderGroup]) -> Selection:
    """Choose for a digest without articles: all readers get it."""
    everybody = Cohort(articles=(), by_urgency=(), more=0, groups=tuple(groups))
    return Selection((everybody,) if groups else (), (), (), frozenset())


def with_shorter_lists(choice: Selection, cohorts: Sequence[Cohort]) -> Selection:
    """Replace the cohorts by these, which have fewer articles; the articles left out wait.

    Args:
        cohorts: in the order of those of the choice.
    """
    waiting: set[int] = set()
    rooms: list[int] = []
    for before, after in zip(choice.cohorts, cohorts, strict=True):
        if left_out := set(before.articles).difference(after.articles):
            # As with overflow: what came in before a newcomer's start is for the first digest alone.
            start = min(group.start for group in before.groups)
            waiting.update(article for article in left_out if article > start)
            rooms.append(len(after.articles))
    return replace(
        choice,
        cohorts=tuple(cohorts),
        carried_over=choice.carried_over | waiting,
        room=min(rooms, default=None),
    )


def _carried_over(share: _Share) -> frozenset[int]:
    """Return what is still due to these groups afterwards."""
    if not share.articles:
        return share.due
    # What came in before a newcomer's start is for the first digest alone, which this is.
    return frozenset(
        article for article in share.due - set(share.articles) if article > share.start
    )


def _due(
    newest_first: Sequence[CandidateArticle],
    start: int,
    newcomer: bool,
    had: frozenset[int],
    limits: ScheduleLimits,
) -> frozenset[int]:
    due = {article.id for article in newest_first if article.id > start and not article.backlog}
    if newcomer:
        due.update(
            [article.id for article in newest_first if article.id <= start][: limits.newcomers]
        )
    return frozenset(due - had)


def _share(
    newest_first: Sequence[CandidateArticle],
    start: int,
    due: frozenset[int],
    groups: Sequence[ReaderGroup],
    limits: ScheduleLimits,
) -> _Share:
    """Give these groups as many of the articles due to them as a digest may hold."""
    articles: list[CandidateArticle] = []
    urgent: list[CandidateArticle] = []
    if due and len(due) >= limits.min_articles:
        mine = [article for article in newest_first if article.id in due]
        # What came in before a newcomer's start did not wait for that reader.
        waited = {article.id for article in mine if article.waited and article.id > start}
        urgent = sorted(mine, key=lambda article: (not article.leads, article.id not in waited))
        urgent = urgent[: limits.max_articles]
        articles = sorted(filter(urgent.__contains__, mine), key=lambda article: not article.leads)
    return _Share(
        start,
        due,
        tuple(article.id for article in articles),
        tuple(article.id for article in urgent),
        tuple(groups),
    )


def _cohorts(shares: Iterable[_Share]) -> list[Cohort]:
    """Make one cohort for each list, largest first."""
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
    limits: ScheduleLimits,
) -> list[_Share]:
    """Give the smallest cohorts what is due to several of them; leave the other shares as they are."""
    kept = {cohort.articles for cohort in cohorts[: MAX_COHORTS - 1]}
    small: dict[frozenset[int], list[_Share]] = {}
    for share in shares:
        if share.articles and share.articles not in kept:
            small.setdefault(share.due, []).append(share)
    fewer = [share for share in shares if not share.articles or share.articles in kept]
    for common, dues in _in_common(small, limits.min_articles):
        these = [share for due in dues for share in small[due]]
        start = max(share.start for share in these)
        shorter = _share(newest_first, start, common, (), limits)
        fewer += [
            replace(share, articles=shorter.articles, by_urgency=shorter.by_urgency)
            for share in these
        ]
    return fewer


def _in_common(
    small: Mapping[frozenset[int], Sequence[_Share]], least: int
) -> list[tuple[frozenset[int], list[frozenset[int]]]]:
    """Find what is due to all of these, if it is at least so many articles; else to parts of them.

    The order in which parts are made depends only on what is due, and to how many readers: a plan and the
    build after it must make the same parts, and may get the groups in different orders.
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
