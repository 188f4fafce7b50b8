"""Renders the editions of a plan, each with as many of its articles as fit into one mail.

Mail programs cut off long mails, and with their end the link to unsubscribe. Articles that do not fit are
left out by urgency and wait for the next digest; one that is too long for a mail by itself is printed as its
headline. Pure: builds, plans, previews and reviews all render here, so they show the same.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from mailer.digests.schedules.calendar import Slot
from mailer.digests.selection.choose import Cohort, with_shorter_lists
from mailer.digests.selection.plan import Plan
from mailer.errors import MessageTooLong
from mailer.message.content import Content
from mailer.models import Article, Edits, Newsletter

Render = Callable[
    [Newsletter, Slot, Sequence[Article], int, Edits | None, Collection[int]], Content
]
"""Renders an edition: its newsletter, the slot, its articles as they are printed, how many more there are,
what staff changed in the digest, and the ids of the articles that are cut to their headlines."""


def render_editions(
    plan: Plan, newsletter: Newsletter, render: Render
) -> tuple[Plan, list[tuple[Cohort, Content]]]:
    """Render every edition of a plan.

    Returns:
        The plan with what did not fit carried over, and its cohorts with their contents.

    Raises:
        BadMessage: no mail can be made of an edition, such as when the introduction alone is too long.
        BadTemplate: a template cannot be rendered.
    """
    editions = [
        render_cohort(plan, newsletter, render, cohort, plan.articles)
        for cohort in plan.choice.cohorts
    ]
    choice = with_shorter_lists(plan.choice, [cohort for cohort, _ in editions])
    return replace(plan, choice=choice), editions


def render_cohort(
    plan: Plan,
    newsletter: Newsletter,
    render: Render,
    cohort: Cohort,
    articles: Mapping[int, Article],
) -> tuple[Cohort, Content]:
    """Render the edition of one cohort.

    Args:
        articles: those of the cohort's list, by id.

    Returns:
        The cohort with the articles that fit, and the content.

    Raises:
        BadMessage: as in `render_editions`.
        BadTemplate: as in `render_editions`.
    """

    def rendered(shorter: Cohort, headlines: Collection[int]) -> Content:
        listed = [articles[article_id] for article_id in shorter.articles]
        return render(newsletter, plan.slot, listed, shorter.more, plan.edits, headlines)

    def is_too_long(shorter: Cohort, headlines: Collection[int]) -> bool:
        try:
            rendered(shorter, headlines)
        except MessageTooLong:
            return True
        return False

    try:
        return cohort, rendered(cohort, ())
    except MessageTooLong:
        headlines = [
            article_id
            for article_id in cohort.articles
            if is_too_long(cohort.with_articles([article_id]), ())
        ]
    room = bisect_left(
        range(1, len(cohort.articles) + 1),
        True,
        key=lambda number: is_too_long(cohort.with_articles(cohort.by_urgency[:number]), headlines),
    )
    # If not even one fits, the rest of the mail is too long; rendering it once more raises that.
    shorter = cohort.with_articles(cohort.by_urgency[: max(1, room)])
    return shorter, rendered(shorter, headlines)
