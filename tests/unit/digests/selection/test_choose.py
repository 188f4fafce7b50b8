"""Choosing: who is due what, what goes into a list that is too long, and who gets the same."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.selection.choose import (
    MAX_COHORTS,
    CandidateArticle,
    ReaderGroup,
    ScheduleLimits,
    choose,
    with_shorter_lists,
)
from tests.support.factories import NOW

ANY = ScheduleLimits(min_articles=1, max_articles=20, newcomers=0)


def candidate(
    number: int, *, hours: float | None = None, backlog: bool = False, waited: bool = False
) -> CandidateArticle:
    """A candidate; its number is its id, and higher ones are newer unless `hours` says how old it is."""
    age = 1000 - number if hours is None else hours
    return CandidateArticle(number, NOW - timedelta(hours=age), backlog, waited)


def group(*editions: int, start: int = 0, newcomer: bool = False, readers: int = 1) -> ReaderGroup:
    return ReaderGroup(start, newcomer, editions, readers)


def lists(choice: object) -> list[tuple[int, ...]]:
    return [cohort.articles for cohort in choice.cohorts]  # type: ignore[attr-defined]


def test_due_is_what_came_in_after_the_start_and_was_not_had() -> None:
    candidates = [candidate(n) for n in range(1, 6)]
    choice = choose(candidates, {7: frozenset({4})}, [group(7, start=2)], ANY)
    assert lists(choice) == [(5, 3)]
    assert choice.carried_over == frozenset()


def test_a_list_is_printed_newest_first_whatever_the_order_of_arrival() -> None:
    candidates = [candidate(1, hours=1), candidate(2, hours=30), candidate(3, hours=5)]
    assert lists(choose(candidates, {}, [group()], ANY)) == [(1, 3, 2)]


def test_backlog_is_for_the_first_digest_of_newcomers_only() -> None:
    candidates = [
        candidate(1, backlog=True),
        candidate(2),
        candidate(3, backlog=True),
        candidate(4),
    ]
    old, new = group(start=2, readers=2), group(start=2, newcomer=True)
    choice = choose(candidates, {}, [old, new], ScheduleLimits(1, 20, newcomers=2))
    assert lists(choice) == [(4,), (4, 2, 1)]


def test_newcomers_get_the_newest_before_their_start_by_date_not_by_arrival() -> None:
    candidates = [candidate(1, hours=2), candidate(2, hours=90), candidate(3, hours=9)]
    choice = choose(
        candidates, {}, [group(start=3, newcomer=True)], ScheduleLimits(1, 20, newcomers=2)
    )
    assert lists(choice) == [(1, 3)]


def test_what_a_newcomer_had_elsewhere_is_not_made_up_for() -> None:
    candidates = [candidate(n) for n in (1, 2, 3)]
    limits = ScheduleLimits(1, 20, newcomers=2)
    choice = choose(candidates, {5: frozenset({3})}, [group(5, start=3, newcomer=True)], limits)
    assert lists(choice) == [(2,)]


def test_with_too_many_those_that_waited_go_first_and_then_the_newest() -> None:
    candidates = [candidate(1, waited=True), candidate(2), candidate(3), candidate(4)]
    choice = choose(candidates, {}, [group()], ScheduleLimits(1, 2, newcomers=0))
    assert lists(choice) == [(4, 1)]
    assert choice.cohorts[0].more == 2
    assert choice.carried_over == {2, 3}


def test_what_has_no_room_in_a_mail_waits_in_the_order_of_overflow() -> None:
    candidates = [candidate(1, waited=True), candidate(2), candidate(3), candidate(4)]
    groups = [group(readers=2), group(start=3, newcomer=True)]
    choice = choose(candidates, {}, groups, ScheduleLimits(1, 3, newcomers=1))
    long, short = choice.cohorts
    assert (long.by_urgency, short.by_urgency) == ((1, 4, 3), (4, 3))
    fewer = with_shorter_lists(
        choice, [long.with_articles(long.by_urgency[:2]), short.with_articles((4,))]
    )
    assert lists(fewer) == [(4, 1), (4,)]
    assert [cohort.more for cohort in fewer.cohorts] == [2, 1]
    # Of the newcomer's, nothing waits: what came in before the start is for the first digest alone.
    assert fewer.carried_over == {2, 3}
    assert (choice.room, fewer.room) == (None, 1)
    assert with_shorter_lists(choice, choice.cohorts) == choice


def test_what_came_before_a_newcomers_start_did_not_wait_for_that_reader() -> None:
    candidates = [candidate(1, waited=True), candidate(2, waited=True), candidate(3)]
    choice = choose(
        candidates, {}, [group(start=2, newcomer=True)], ScheduleLimits(1, 1, newcomers=5)
    )
    assert lists(choice) == [(3,)]
    # And it is not due after the first digest, so it is not carried over.
    assert choice.carried_over == frozenset()


def test_groups_with_the_same_list_are_one_cohort_and_the_largest_cohort_is_first() -> None:
    candidates = [candidate(1), candidate(2)]
    editions = {7: frozenset({1}), 8: frozenset({1})}
    groups = [group(readers=3), group(7, readers=2), group(8, readers=2), group(start=1, readers=1)]
    choice = choose(candidates, editions, groups, ANY)
    assert [(one.articles, one.readers) for one in choice.cohorts] == [((2,), 5), ((2, 1), 3)]


def test_more_is_never_promised_than_each_reader_of_a_cohort_has_to_come() -> None:
    candidates = [candidate(n) for n in range(1, 6)]
    groups = [group(), group(7)]
    choice = choose(candidates, {7: frozenset({1})}, groups, ScheduleLimits(1, 2, newcomers=0))
    [cohort] = choice.cohorts
    assert (cohort.articles, cohort.more) == ((5, 4), 2)


def test_who_is_due_too_few_waits_and_who_is_due_nothing_is_told_apart() -> None:
    few, none = group(7), group(7, 8)
    editions = {7: frozenset({1, 2}), 8: frozenset({3})}
    choice = choose(
        [candidate(n) for n in (1, 2, 3)], editions, [few, none], ScheduleLimits(2, 20, newcomers=0)
    )
    assert choice.cohorts == ()
    assert (choice.too_few, choice.nothing_new) == ((few,), (none,))
    assert choice.carried_over == {3}


def test_without_candidates_nobody_is_due_anything() -> None:
    alone = group()
    choice = choose([], {}, [alone], ANY)
    assert (choice.cohorts, choice.nothing_new) == ((), (alone,))


def test_too_many_cohorts_leave_the_smallest_what_is_new_to_all_of_them() -> None:
    articles = range(1, 102)
    editions = {n: frozenset({n}) for n in articles}
    # Each group lacks another of the first hundred articles; the last is new to all.
    groups = [group(n, readers=1000 - n) for n in range(1, 101)]
    choice = choose(
        [candidate(n) for n in articles], editions, groups, ScheduleLimits(1, 200, newcomers=0)
    )
    assert len(choice.cohorts) == MAX_COHORTS
    common = {n for n in articles if n < MAX_COHORTS or n == 101}
    rest = next(one for one in choice.cohorts if set(one.articles) == common)
    assert rest.readers == sum(1000 - n for n in range(MAX_COHORTS, 101))
    assert choice.carried_over == set(range(MAX_COHORTS, 101))


def test_the_smallest_cohorts_get_something_where_nothing_is_new_to_all_of_them() -> None:
    articles = range(1, 101)
    everything = frozenset(articles)
    # One article is due to each group, to every group another one.
    editions = {n: everything - {n} for n in articles}
    groups = [group(n, readers=n) for n in articles]
    choice = choose([candidate(n) for n in articles], editions, groups, ANY)
    assert sorted(lists(choice)) == [(n,) for n in articles]
    assert (choice.too_few, choice.carried_over) == ((), frozenset())


def test_the_smallest_cohorts_share_as_few_lists_as_they_can() -> None:
    # To each of the even groups 201 is due, to each of the odd ones 202, and one article of their own.
    articles = [*range(1, 201), 201, 202]
    everything = frozenset(articles)
    editions = {n: everything - {n, 201 + n % 2} for n in range(1, 201)}
    groups = [group(n, readers=1000 - n) for n in range(1, 201)]
    choice = choose([candidate(n) for n in articles], editions, groups, ANY)
    assert len(choice.cohorts) == MAX_COHORTS + 1
    assert {(201,), (202,)} <= set(lists(choice))
    assert choice.too_few == ()
    # The same groups in another order make the same lists.
    assert lists(choose([candidate(n) for n in articles], editions, groups[::-1], ANY)) == lists(
        choice
    )


CANDIDATES = st.lists(
    st.builds(
        CandidateArticle,
        id=st.integers(1, 30),
        published_at=st.integers(0, 100).map(lambda hours: NOW - timedelta(hours=hours)),
        backlog=st.booleans(),
        waited=st.booleans(),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
GROUPS = st.lists(
    st.builds(
        ReaderGroup,
        start=st.integers(0, 30),
        newcomer=st.booleans(),
        editions=st.lists(st.integers(1, 6), unique=True).map(tuple),
        readers=st.integers(1, 9),
    ),
    max_size=90,
    unique_by=lambda one: (one.start, one.newcomer, one.editions),
)
EDITIONS = st.dictionaries(st.integers(1, 6), st.frozensets(st.integers(1, 30)))
LIMITS = st.builds(
    ScheduleLimits,
    min_articles=st.integers(1, 4),
    max_articles=st.integers(4, 8),
    newcomers=st.integers(0, 5),
)


@given(candidates=CANDIDATES, editions=EDITIONS, groups=GROUPS, limits=LIMITS)
def test_whatever_is_chosen_keeps_the_promises(
    candidates: list[CandidateArticle],
    editions: dict[int, frozenset[int]],
    groups: list[ReaderGroup],
    limits: ScheduleLimits,
) -> None:
    choice = choose(candidates, editions, groups, limits)
    by_id = {one.id: one for one in candidates}
    placed = [one for cohort in choice.cohorts for one in cohort.groups]
    everybody = [*placed, *choice.nothing_new, *choice.too_few]
    assert sorted(everybody, key=repr) == sorted(groups, key=repr)
    assert len({cohort.articles for cohort in choice.cohorts}) == len(choice.cohorts)
    for one in choice.too_few:
        assert len(_due_to(one, candidates, editions, limits)) < limits.min_articles
    for one in choice.nothing_new:
        assert not _due_to(one, candidates, editions, limits)
    for cohort in choice.cohorts:
        assert limits.min_articles <= len(cohort.articles) <= limits.max_articles
        dates = [by_id[one].published_at for one in cohort.articles]
        assert all(newer >= older for newer, older in pairwise(dates))
        assert cohort.more >= 0
        for one in cohort.groups:
            had = frozenset[int]().union(*(editions.get(e, frozenset()) for e in one.editions))
            assert not had & set(cohort.articles)
            if not one.newcomer:
                assert all(
                    article > one.start and not by_id[article].backlog
                    for article in cohort.articles
                )


def _due_to(
    one: ReaderGroup,
    candidates: list[CandidateArticle],
    editions: dict[int, frozenset[int]],
    limits: ScheduleLimits,
) -> set[int]:
    had = {article for edition in one.editions for article in editions.get(edition, ())}
    due = {each.id for each in candidates if each.id > one.start and not each.backlog}
    if one.newcomer:
        before = [each for each in candidates if each.id <= one.start]
        before.sort(key=lambda each: (each.published_at, each.id), reverse=True)
        due |= {each.id for each in before[: limits.newcomers]}
    return due - had
