"""`mailer newsletter`: the publication lines.

What fetches feeds or makes forms is imported by the commands that do so: a list must not wait for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailer.cli.base import Group, json_option, opened
from mailer.cli.idle import warn_if_nothing_builds
from mailer.cli.output import message, print_json, print_table, print_text
from mailer.errors import Refused
from mailer.newsletters import newsletters
from mailer.newsletters.newsletters import NewsletterChanges, Overview
from mailer.settings import links
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App


Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(cls=Group)
def newsletter() -> None:
    """The publication lines that readers subscribe to."""


def _as_bool(_context: click.Context, _option: click.Parameter, value: str | None) -> bool | None:
    return None if value is None else value == "yes"


def _profile_options(*, required: bool) -> Callable[[Command], Command]:
    """The options that `add` and `edit` share; the first three must be given to `add`."""
    options = [
        click.option("--title", metavar="TEXT", required=required, help="Its name."),
        click.option(
            "--from", "sender", metavar='"NAME <ADDRESS>"', required=required, help="Its sender."
        ),
        click.option(
            "--postal-address", metavar="TEXT", required=required, help="Stands in every mail."
        ),
        click.option(
            "--language", metavar="CODE", help="Such as en (the default), en-US, hy or fr."
        ),
        click.option("--reply-to", metavar="ADDRESS", help="Where answers go; else to --from."),
        click.option("--logo", "logo_url", metavar="URL", help="An image, by https."),
        click.option("--color", metavar="COLOR", help="Such as #14507a."),
        click.option(
            "--pictures",
            type=click.Choice(["yes", "no"]),
            callback=_as_bool,
            help="Whether digests show the articles' pictures (yes).",
        ),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@newsletter.command
@click.argument("slug")
@_profile_options(required=True)
@click.option("--feed", "feeds", multiple=True, metavar="URL", help="Where its articles come from.")
@json_option
def add(slug: str, feeds: tuple[str, ...], as_json: bool, **wishes: Any) -> None:
    """Start a newsletter. SLUG stands in its web addresses and never changes.

    Each feed is fetched once, and what it holds now is backlog. When one cannot be fetched, nothing is
    added at all.

    \b
    Example:
      mailer newsletter add daily --title "The Daily" --from "The Daily <daily@news.example>" \\
        --postal-address "1 Sample Street, Sampletown" --feed https://www.news.example/feed
    """
    profile = newsletters.profile(NewsletterChanges(**wishes))
    with opened() as app:
        _check_language(app, profile.language)
        with app.database.write() as session:
            newsletters.add(session, slug, profile, now=app.times.wall())
        if feeds:
            _add_feeds(app, slug, feeds)
        _show_one(app, slug, as_json)
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
        found = newsletters.overviews(session)
    if as_json:
        print_json([_as_data(one) for one in found])
        return
    print_table(
        ("slug", "title", "from", "schedules", "subscriptions", "closed"),
        [
            (
                one.slug,
                one.profile.title,
                one.profile.from_address,
                ", ".join(one.schedules),
                one.subscriptions,
                one.profile.closed,
            )
            for one in found
        ],
    )


@newsletter.command
@click.argument("slug")
@json_option
def show(slug: str, as_json: bool) -> None:
    """Show all about one newsletter.

    \b
    Example:
      mailer newsletter show daily
    """
    with opened() as app:
        _show_one(app, slug, as_json)


@newsletter.command
@click.argument("slug")
@_profile_options(required=False)
@click.option(
    "--closed",
    type=click.Choice(["yes", "no"]),
    callback=_as_bool,
    help="Whether to refuse sign-ups.",
)
@json_option
def edit(slug: str, as_json: bool, **wishes: Any) -> None:
    """Change what is given; an empty --reply-to or --logo takes it away.

    Digests that are built already stay as they are.

    \b
    Example:
      mailer newsletter edit daily --color "#7a1450" --closed no
    """
    wanted = NewsletterChanges(**wishes)
    if wanted == NewsletterChanges():
        raise click.UsageError("Nothing to change was given.")
    with opened() as app:
        with app.database.write() as session:
            row = newsletters.find(session, slug)
            profile = newsletters.profile(wanted, newsletters.profile_of(row))
            if wanted.language is not None:
                _check_language(app, profile.language)
            newsletters.change(session, row, profile)
        _show_one(app, slug, as_json)


@newsletter.command
@click.argument("slug")
def embed(slug: str) -> None:
    """Print the HTML of a sign-up form, to be put into any web site. It needs no script.

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
    if links.lead_nowhere(app.settings.base_url):
        message(
            f"warning: this form sends to {app.settings.base_url}, which works on this machine only; "
            "set `base_url`, then print it again"
        )
    print_text(form)


def _add_feeds(app: "App", slug: str, urls: tuple[str, ...]) -> None:
    """Let a new newsletter take from the feeds at `urls`; when one cannot be added, take it all back."""
    from mailer.feeds import new_feed, newsletter_feeds
    from mailer.feeds.sandbox.reader import FeedReader

    with app.database.read() as session:
        newsletter_id = newsletters.find(session, slug).id
    added: list[str] = []
    try:
        with FeedReader() as reader:
            for url in urls:
                feed = new_feed.add_feed(
                    app.database,
                    url,
                    newsletter_id,
                    reader=reader,
                    clock=app.times.wall,
                    interval=app.settings.feed_interval,
                )
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


def _check_language(app: "App", language: str) -> None:
    """Refuse a language that there are no texts in; a region such as fr-CA has those of its language."""
    there_are = app.templates.languages()
    if not {language, language.split("-")[0]} & set(there_are):
        raise Refused(
            f"there are no texts in {language!r}, only in {', '.join(there_are)}; "
            "choose one of these, or add a catalogue (docs/translating.md)"
        )
    app.templates.gettext(language)


def _show_one(app: "App", slug: str, as_json: bool) -> None:
    with app.database.read() as session:
        (found,) = newsletters.overviews(session, slug)
    data = _as_data(found)
    if as_json:
        print_json(data)
        return
    rows = [
        (key, ", ".join(value) if isinstance(value, list) else value) for key, value in data.items()
    ]
    print_table(("", ""), rows)


def _as_data(one: Overview) -> dict[str, object]:
    return {
        "slug": one.slug,
        "title": one.profile.title,
        "language": one.profile.language,
        "from": f"{one.profile.from_name} <{one.profile.from_address}>",
        "reply_to": one.profile.reply_to,
        "postal_address": one.profile.postal_address,
        "list_id": one.list_id,
        "logo": one.profile.logo_url,
        "color": one.profile.color,
        "pictures": one.profile.pictures,
        "closed": one.profile.closed,
        "feeds": list(one.feeds),
        "schedules": list(one.schedules),
        "default_schedule": one.default_schedule,
        "subscriptions": one.subscriptions,
    }
