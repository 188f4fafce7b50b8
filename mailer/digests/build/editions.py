"""Renders the editions of a plan, each with as many of its articles as one mail may hold.

Mail programs cut off long mails, and with their end the link to unsubscribe. Articles that have no room are
left out in the order in which overflow is, and wait for the next digest; one that is too long for a mail by
itself is printed as its headline. Writes nothing: builds, plans, previews and reviews all ask here, so that
they show the same.
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
    """Renders every edition of a plan.

    Returns:
        The plan with what had no room carried over, and its cohorts with their contents.

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
    """Renders the edition of one cohort.

    Args:
        articles: those of the cohort's list, by id.

    Returns:
        The cohort with the articles that have room, and the content.

    Raises:
        BadMessage, BadTemplate: as `render_editions`.
    """

    def rendered(shorter: Cohort, headlines: Collection[int]) -> Content:
        listed = [articles[one] for one in shorter.articles]
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
        headlines = [one for one in cohort.articles if is_too_long(cohort.with_articles([one]), ())]
    room = bisect_left(
        range(1, len(cohort.articles) + 1),
        True,
        key=lambda number: is_too_long(cohort.with_articles(cohort.by_urgency[:number]), headlines),
    )
    # Not even one has room where the rest of the mail is too long; rendering it once more says so.
    shorter = cohort.with_articles(cohort.by_urgency[: max(1, room)])
    return shorter, rendered(shorter, headlines)
