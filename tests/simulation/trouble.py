"""What goes wrong while a digest is being sent: its sender is killed or stopped, or staff hold it.

Each happens when the relay has a mail and has not said so; what readers get then is judged as ever.
"""

from collections.abc import Callable
from datetime import timedelta

from tests.simulation.desk import Desk, Plan
from tests.support.receiver import Mail

HOLD = timedelta(minutes=20)


def kill(desk: Desk, plan: Plan) -> None:
    """kill -9 of whoever sends, at the third mail; it is started again."""
    before = desk.in_doubt

    def act() -> None:
        sender = _strike(desk, plan, 3, lambda sender, _: desk.daemons.kill(sender))
        desk.tell(f"{sender} is killed while it sends")
        desk.daemons.restart(sender)

    desk.sent(plan, act, may_doubt=True)
    # The mail that the relay had and never answered, at least.
    desk.demand(desk.in_doubt > before, "a sender was killed, and no mail is in doubt")


def restart(desk: Desk, plan: Plan) -> None:
    """SIGTERM for whoever sends, at the second mail; it is started again when it has ended well."""

    def act() -> None:
        sender = _strike(desk, plan, 2, lambda sender, _: desk.daemons.ask_to_stop(sender))
        desk.daemons.wait_for_the_end(sender)
        desk.tell(f"{sender} is stopped while it sends, and ends well")
        desk.daemons.restart(sender)

    desk.sent(plan, act)


def hold(desk: Desk, plan: Plan) -> None:
    """Staff pause the digest at its second mail, and let it go on when the next fetch is done."""
    before = desk.post.number

    def pause(_: str, mail: Mail) -> None:
        number = mail.header("X-Mailer-Digest") or ""
        desk.office.type("digest", "pause", number, "--reason", "the lead has to be looked at")

    def act() -> None:
        _strike(desk, plan, 2, pause)
        # What was on its way when it was paused may still arrive; nothing else may in twenty minutes.
        takes = desk.model.takes[plan.schedule.newsletter]
        desk.read(desk.office.clock.now() + HOLD, *takes)
        found = desk.digest(plan.schedule, desk.name(plan.schedule, plan.slot)) or {}
        arrived = len(desk.post.digests(before))
        desk.demand(found.get("status") == "paused", f"held, and {found.get('status')}")
        desk.demand(arrived < len(plan.expected.mails), "all went out although it was held")
        desk.tell(f"digest {found['id']} is paused by staff; {arrived} mails are out")
        desk.office.type("digest", "resume", str(found["id"]))

    desk.sent(plan, act)


def _strike(desk: Desk, plan: Plan, number: int, act: Callable[[str, Mail], None]) -> str:
    """Let a slot come, and act when so many of its mails are at the relay; who sent the last of them."""
    struck: list[str] = []

    def strike(sender: str, mail: Mail) -> None:
        act(sender, mail)
        struck.append(sender)

    desk.relay.at_mail(number, strike)
    desk.go_past(plan.slot)
    desk.office.wait(lambda: struck, f"mail {number} of {plan.schedule.reference}")
    return struck[0]
