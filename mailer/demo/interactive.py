"""Runs the interactive demo: articles keep appearing, slots come and go, until the user ends it."""

import time
from datetime import UTC, datetime, timedelta

from mailer.demo.articles import NEWSPAPER
from mailer.demo.checklist import StepFailed
from mailer.demo.setup import Demo

SCHEDULE = "every-minute"
PUBLISH_EVERY = timedelta(seconds=20)
SLOTS_AHEAD = 60

_WELCOME = """
{newspaper} is open. Everything is on this machine, and no mail leaves it.

  Start here    {addresses.pages}/
  Sign-up form  {addresses.form}/
  Inbox         {addresses.pages}/inbox
  Newspaper     {addresses.newspaper}/   feed: {addresses.newspaper}/feed.xml
  Folder        {folder}   (mailer commands work there)

Sign up with any address, confirm in the inbox, and wait for the next slot.
"""


def run(demo: Demo) -> None:
    """Set the demo up, print its addresses and keep it going; ends only by an exception.

    Raises:
        StepFailed: the set-up failed or `mailer run` ended by itself; the reason has been printed.
    """
    checklist, folder = demo.checklist, demo.program.folder
    demo.set_up(SCHEDULE, ("--cron", "* * * * *"))
    demo.learn_slots(SCHEDULE, SLOTS_AHEAD)
    checklist.say(_WELCOME.format(newspaper=NEWSPAPER, addresses=demo.addresses, folder=folder))
    publish_at = datetime.now(UTC) + PUBLISH_EVERY
    mails_shown = 0
    while True:
        now = datetime.now(UTC)
        if now >= publish_at:
            publish_at = now + PUBLISH_EVERY
            checklist.say(f"{_clock(now)}  published  {demo.newsroom.publish(now).title}")
        for mail in demo.mailbox.mails()[mails_shown:]:
            mails_shown += 1
            checklist.say(f"{_clock(mail.received)}  mail       {mail.recipient}: {mail.subject}")
        slot = demo.next_slot(now)
        if slot is None:
            demo.learn_slots(SCHEDULE, SLOTS_AHEAD)
        else:
            seconds = round((slot - now).total_seconds())
            checklist.show_status(
                f"Next slot {_clock(slot)[:5]}, in {seconds} s. Ctrl-C ends the demo. "
            )
        if demo.program.exit_status is not None:
            checklist.show_status("")
            checklist.say(f"mailer run has ended by itself, status {demo.program.exit_status}:")
            checklist.say(demo.program.log_tail())
            raise StepFailed
        time.sleep(0.25)


def _clock(instant: datetime) -> str:
    """Return the time of day on this machine, as people in front of it read it."""
    return f"{instant.astimezone():%H:%M:%S}"
