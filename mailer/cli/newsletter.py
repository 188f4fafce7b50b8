"""`mailer newsletter`: adds, shows and changes newsletters.

What fetches feeds or makes forms is imported by the commands that do so: a list must not wait for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.base import (
    Function,
    Group,
    json_option,
    opened,
    warn_if_nothing_builds,
    with_options,
)
from mailer.cli.language import check_language
from mailer.cli.output import message, print_json, print_list, print_record, print_text
from mailer.newsletters import newsletters
from mailer.newsletters.newsletters import Overview
from mailer.newsletters.profile import NewsletterChanges, changed_profile
from mailer.settings import local_links
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App


@click.group(cls=Group)
def newsletter() -> None:
    """Manage the newsletters that readers subscribe to."""


def _as_bool(_context: click.Context, _option: click.Parameter, value: str | None) -> bool | None:
    return None if value is None else value == "yes"


def _yes_or_no(name: str, help_text: str) -> Callable[[Function], Function]:
    return click.option(name, type=click.Choice(["yes", "no"]), callback=_as_bool, help=help_text)


def _profile_options(*, required: bool) -> Callable[[Function], Function]:
    """Give a command the options that `add` and `edit` share; `add` needs the first three."""
    return with_options(
        click.option("--title", metavar="TEXT", required=required, help="The newsletter's name."),
        click.option(
            "--from",
            "sender",
            metavar='"NAME <ADDRESS>"',
            required=required,
            help="The sender of its mails.",
        ),
        click.option(
            "--postal-address",
            metavar="TEXT",
            required=required,
            help="Printed in every mail, as the law requires.",
        ),
        click.option("--language", metavar="CODE", help="Such as en-US, hy or fr (default: en)."),
        click.option(
            "--reply-to", metavar="ADDRESS", help="Where replies go (default: the sender)."
        ),
        click.option("--logo", "logo_url", metavar="URL", help="An image, with https."),
        click.option("--color", metavar="COLOR", help="Such as #14507a."),
        _yes_or_no("--pictures", "Whether digests show the articles' pictures (default: yes)."),
    )


@newsletter.command
@click.argument("slug")
@_profile_options(required=True)
@click.option("--feed", "feeds", multiple=True, metavar="URL", help="Where its articles come from.")
@json_option
def add(slug: str, feeds: tuple[str, ...], as_json: bool, **changes: Any) -> None:
    """Add a newsletter. SLUG is part of its web addresses and never changes.

    Each feed is fetched once. The articles that it has now are backlog: only a new reader's first digest
    may hold some of them. If a feed cannot be fetched, nothing is added.

    \b
    Example:
      mailer newsletter add daily --title "The Daily" --from "The Daily <daily@news.example>" \\
        --postal-address "1 Sample Street, Sampletown" --feed https://www.news.example/feed
    """
    profile = changed_profile(NewsletterChanges(**changes))
    with opened() as app:
        check_language(app, profile.language)
        with app.database.write() as session:
            newsletters.add(session, slug, profile, now=app.times.wall())
        if feeds:
            _add_feeds(app, slug, feeds)
        _show(app, slug, as_json)
        if feeds:
            warn_if_nothing_builds(app)
    if not as_json:
        step = f"schedule add {slug} NAME --at 07:00 --zone Europe/Paris"
        message(f"next: mailer {step if feeds else f'feed add URL --newsletter {slug}'}")


@newsletter.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the newsletters.

    \b
    Example:
      mailer newsletter list --json
    """
    with opened() as app, app.database.read() as session:
        rows = [_as_data(overview) for overview in newsletters.overviews(session)]
    columns = ("slug", "title", "from", "schedules", "subscriptions", "closed")
    print_list(rows, columns, as_json=as_json)


@newsletter.command
@click.argument("slug")
@json_option
def show(slug: str, as_json: bool) -> None:
    """Show everything about one newsletter.

    \b
    Example:
      mailer newsletter show daily
    """
    with opened() as app:
        _show(app, slug, as_json)


@newsletter.command
@click.argument("slug")
@_profile_options(required=False)
@_yes_or_no("--closed", "Whether to refuse sign-ups.")
@json_option
def edit(slug: str, as_json: bool, **options: Any) -> None:
    """Change the settings of a newsletter. An empty --reply-to or --logo removes it.

    Digests that are built already stay as they are.

    \b
    Example:
      mailer newsletter edit daily --color "#7a1450" --closed no
    """
    changes = NewsletterChanges(**options)
    if changes == NewsletterChanges():
        raise click.UsageError("There is nothing to change; give one of the options.")
    with opened() as app:
        with app.database.write() as session:
            row = newsletters.find(session, slug)
            profile = changed_profile(changes, newsletters.profile_of(row))
            if changes.language is not None:
                check_language(app, profile.language)
            newsletters.change(session, row, profile)
        _show(app, slug, as_json)


@newsletter.command
@click.argument("slug")
def embed(slug: str) -> None:
    """Print the HTML of a sign-up form for any web site. It needs no script.

    \b
    Example:
      mailer newsletter embed daily > form.html
    """
    from mailer.newsletters.offer import consent_sentence, offer

    with opened() as app:
        with app.database.read() as session:
            look = offer(session, app.publisher, slug).look
        form = app.templates.render(
            "web/form_for_other_sites.html",
            look.language,
            {
                "action": f"{app.settings.base_url}/subscribe",
                "look": look,
                "consent": consent_sentence(app.templates.gettext(look.language), look),
            },
        )
    if local_links.are_local(app.settings.base_url):
        message(
            f"warning: this form sends to {app.settings.base_url}, which works on this machine only; "
            "set `base_url`, then print it again"
        )
    print_text(form)


def _add_feeds(app: "App", slug: str, urls: tuple[str, ...]) -> None:
    """Add the feeds at `urls` to a new newsletter; if one cannot be added, take it all back."""
    from mailer.feeds import new_feed, newsletter_feeds
    from mailer.feeds.sandbox.reader import FeedReader

    with app.database.read() as session:
        newsletter_id = newsletters.find(session, slug).id
    added: list[str] = []
    try:
        with FeedReader() as reader:
            for url in urls:
                feed = new_feed.add_feed(app.feed_context(reader), url, newsletter_id)
                added.append(feed.url)
                number = pluralise(feed.articles, "article")
                message(f"added {feed.url}: {number}, as backlog of {slug}")
    except BaseException:
        with app.database.write() as session:
            newsletter = newsletters.find(session, slug)
            for address in added:
                newsletter_feeds.detach(
                    session, newsletter_feeds.find(session, address), newsletter
                )
            newsletters.take_back(session, newsletter)
        raise


def _show(app: "App", slug: str, as_json: bool) -> None:
    with app.database.read() as session:
        (overview,) = newsletters.overviews(session, slug)
    (print_json if as_json else print_record)(_as_data(overview))


def _as_data(overview: Overview) -> dict[str, object]:
    profile = overview.profile
    return {
        "slug": overview.slug,
        "title": profile.title,
        "language": profile.language,
        "from": f"{profile.from_name} <{profile.from_address}>",
        "reply_to": profile.reply_to,
        "postal_address": profile.postal_address,
        "list_id": overview.list_id,
        "logo": profile.logo_url,
        "color": profile.color,
        "pictures": profile.pictures,
        "closed": profile.closed,
        "feeds": overview.feeds,
        "schedules": overview.schedules,
        "default_schedule": overview.default_schedule,
        "subscriptions": overview.subscriptions,
    }
