"""Sets two newspapers up on the Sunday before, with what is on their sites already.

One is English, and comes daily and weekly; one is Armenian and Russian, two newsletters that share a feed.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.simulation.model import Schedule
from tests.simulation.people import People
from tests.simulation.site import HOSTS
from tests.simulation.stories import ARAKS_HY, ARAKS_RU, COURIER

SHARED = "Ընդհանուր"
TAKES = {
    "courier": {"news": "", "culture": ""},
    "araks-hy": {"hy": "", "common": ""},
    "araks-ru": {"ru": "", "common": SHARED},
}
ZONES = {"courier": "Europe/London", "araks-hy": "Asia/Yerevan", "araks-ru": "Asia/Yerevan"}
LANGUAGES = {"courier": "en", "araks-hy": "hy", "araks-ru": "ru"}
PAPERS = (
    ("courier", COURIER, "#14507a", "1 Quay Street, Merrowhaven"),
    ("araks-hy", ARAKS_HY, "#8a1c2b", "Աբովյան փողոց 1, Երևան"),
    ("araks-ru", ARAKS_RU, "#8a1c2b", "улица Абовяна, 1, Ереван"),
)
DAILY, WEEKLY, HY, RU = "courier/daily", "courier/weekly", "araks-hy/daily", "araks-ru/daily"
SCHEDULES = (
    (Schedule("courier", "daily", max_articles=6), ("--at", "06:30", "--default")),
    (
        Schedule("courier", "weekly", max_articles=60),
        ("--at", "10:00", "--days", "sun", "--review", "30m"),
    ),
    (
        Schedule("araks-hy", "daily", max_articles=5, min_articles=2, newcomers=0),
        ("--at", "08:00"),
    ),
    (Schedule("araks-ru", "daily", newcomers=3), ("--at", "19:00", "--review", "30m")),
)
READERS = {
    DAILY: {
        "alice": "Alice",
        "bob": "Bob",
        "carol": "",
        "dan": "Dan Ó Briain",
        "eve": "Eve",
        "frank": "Frank",
        "gwen": "Gwen",
        "hugh": "",
    },
    WEEKLY: {"walter": "Walter", "xenia": ""},
    HY: {"aram": "Արամ", "garo": "Գարո", "hasmik": "", "anna": "Anna", "լևոն": "Լևոն"},
    RU: {"anna": "Anna", "boris": "Борис", "vera": ""},
}
"""Who is brought in, by the name in their address, with the name that they are greeted by."""


def at(day: int, time: str) -> datetime:
    """A time in UTC in October 2026; the 19th is a Monday, and on the 25th London's clocks go back.

    The 32nd is the first of November.
    """
    hours, minutes = map(int, time.split(":"))
    return datetime(2026, 10, 1, hours, minutes, tzinfo=UTC) + timedelta(days=day - 1)


BEGINS = at(18, "17:00")


def mail(name: str) -> str:
    return f"{name}@readers.example"


def set_up(people: People) -> None:
    """Set everything up by commands, before anything runs."""
    program, site = people.program, people.site
    for feed in ("news", "culture", "hy", "ru"):
        people.write(feed, 6 if feed == "news" else 3, at(17, "08:00"))
    people.write("common", 1, at(17, "09:00"), category=SHARED)
    program.type("init")
    for slug, title, color, place in PAPERS:
        program.type(
            *("newsletter", "add", slug, "--title", title, "--language", LANGUAGES[slug]),
            *("--from", f"{title} <{slug}@papers.example>", "--color", color),
            *("--postal-address", place),
        )
        for feed, category in TAKES[slug].items():
            program.type(
                *("feed", "add", site.feed(feed), "--newsletter", slug, "--allow-private"),
                *(("--category", category) if category else ()),
            )
    people.model.fetched(BEGINS, HOSTS)
    for schedule, rule in SCHEDULES:
        # The model notes in it what has gone out.
        _add(people, replace(schedule, before=set()), *rule)
    for reference, those in READERS.items():
        people.import_readers(reference, [(called, mail(name)) for name, called in those.items()])


def _add(people: People, schedule: Schedule, *rule: str) -> None:
    """Add a schedule, to the mailer and to the model."""
    newcomers = f"latest:{schedule.newcomers}" if schedule.newcomers else "next"
    people.program.type(
        *("schedule", "add", schedule.newsletter, schedule.name, *rule),
        *("--zone", ZONES[schedule.newsletter], "--newcomers", newcomers),
        *("--max-articles", str(schedule.max_articles)),
        *("--min-articles", str(schedule.min_articles)),
    )
    people.model.schedules[schedule.reference] = schedule
