"""The interactive demo: articles keep appearing, slots come and go, until somebody ends it."""

import time
from datetime import UTC, datetime, timedelta

from mailer.demo.articles import PAPER
from mailer.demo.checklist import StepFailed
from mailer.demo.setup import Setup

SCHEDULE = "every-minute"
PUBLISH_EVERY = timedelta(seconds=20)
SLOTS_AHEAD = 60


def play(stage: Setup) -> None:
    """Set the demo up, print its addresses and keep it going; ends only by an exception.

    Raises:
        StepFailed: the set-up failed or `mailer run` ended by itself; the reason has been printed.
        KeyboardInterrupt: somebody ended the demo.
    """
    stage.set_up(SCHEDULE, ("--cron", "* * * * *"))
    stage.learn_slots(SCHEDULE, SLOTS_AHEAD)
    _print_addresses(stage)
    publish_at = datetime.now(UTC) + PUBLISH_EVERY
    mails_told = 0
    while True:
        now = datetime.now(UTC)
        if now >= publish_at:
            publish_at = now + PUBLISH_EVERY
            stage.report.say(f"{_clock(now)}  published  {stage.newsroom.publish(now).story.title}")
        for mail in stage.mailbox.mails()[mails_told:]:
            mails_told += 1
            stage.report.say(
                f"{_clock(mail.received)}  mail       {mail.recipient}: {mail.subject}"
            )
        slot = stage.next_slot(now)
        if slot is None:
            stage.learn_slots(SCHEDULE, SLOTS_AHEAD)
        else:
            left = round((slot - now).total_seconds())
            stage.report.passing(
                f"Next slot {_clock(slot)[:5]}, in {left} s. Ctrl-C ends the demo. "
            )
        if stage.program.exit_status is not None:
            stage.report.passing("")
            stage.report.say(f"mailer run has ended by itself, status {stage.program.exit_status}:")
            stage.report.say(stage.program.log_tail())
            raise StepFailed
        time.sleep(0.25)


def _print_addresses(stage: Setup) -> None:
    say, addresses = stage.report.say, stage.addresses
    say()
    say(f"{PAPER} is open. Everything is on this machine, and no mail leaves it.")
    say()
    say(f"  Start here    {addresses.desk}/")
    say(f"  Sign-up form  {addresses.form}/")
    say(f"  Inbox         {addresses.desk}/inbox")
    say(f"  Newspaper     {addresses.paper}/   feed: {addresses.paper}/feed.xml")
    say(f"  Folder        {stage.program.folder}   (mailer commands work there)")
    say()
    say("Sign up with any address, confirm in the inbox, and wait for the next slot.")
    say()


def _clock(instant: datetime) -> str:
    """The time of day where this machine is, as people in front of it read it."""
    return f"{instant.astimezone():%H:%M:%S}"
