"""Lets things go wrong while a digest is sent: its sender is killed or stopped, or staff pause it.

Each happens when the relay has a mail and has not said so; what readers get then is judged as ever.
"""

from collections.abc import Callable
from datetime import timedelta

from tests.simulation.simulation import Plan, Simulation
from tests.support.receiver import Mail

HOLD = timedelta(minutes=20)


def kill(simulation: Simulation, plan: Plan) -> None:
    """kill -9 of the sender, at the third mail; it is started again."""
    before = simulation.in_doubt

    def act() -> None:
        sender = _at_mail(simulation, plan, 3, lambda sender, _: simulation.daemons.kill(sender))
        simulation.say(f"{sender} is killed while it sends")
        simulation.daemons.restart(sender)

    simulation.sent(plan, act, may_doubt=True)
    # The mail that the relay had and never answered, at least.
    simulation.check(simulation.in_doubt > before, "a sender was killed, and no mail is in doubt")


def restart(simulation: Simulation, plan: Plan) -> None:
    """SIGTERM for the sender, at the second mail; it is started again when it has ended well."""

    def act() -> None:
        sender = _at_mail(
            simulation, plan, 2, lambda sender, _: simulation.daemons.ask_to_stop(sender)
        )
        simulation.daemons.wait_for_the_end(sender)
        simulation.say(f"{sender} is stopped while it sends, and ends well")
        simulation.daemons.restart(sender)

    simulation.sent(plan, act)


def hold(simulation: Simulation, plan: Plan) -> None:
    """Staff pause the digest at its second mail, and let it go on when the next fetch is done."""
    before = simulation.inbox.number

    def pause(_: str, mail: Mail) -> None:
        number = mail.header("X-Mailer-Digest") or ""
        simulation.program.type(
            "digest", "pause", number, "--reason", "the lead has to be looked at"
        )

    def act() -> None:
        _at_mail(simulation, plan, 2, pause)
        # What was on its way when it was paused may still arrive; nothing else may in twenty minutes.
        takes = simulation.model.takes[plan.schedule.newsletter]
        simulation.read(simulation.program.clock.now() + HOLD, *takes)
        found = simulation.digest(plan.schedule, simulation.name(plan.schedule, plan.slot)) or {}
        arrived = len(simulation.inbox.digests(before))
        simulation.check(found.get("status") == "paused", f"held, and {found.get('status')}")
        simulation.check(arrived < len(plan.expected.mails), "all went out although it was held")
        simulation.say(f"digest {found['id']} is paused by staff; {arrived} mails are out")
        simulation.program.type("digest", "resume", str(found["id"]))

    simulation.sent(plan, act)


def _at_mail(
    simulation: Simulation, plan: Plan, number: int, act: Callable[[str, Mail], None]
) -> str:
    """Let a slot come, and act when so many of its mails are at the relay; who sent the last of them."""
    struck: list[str] = []

    def strike(sender: str, mail: Mail) -> None:
        act(sender, mail)
        struck.append(sender)

    simulation.relay.at_mail(number, strike)
    simulation.go_past(plan.slot)
    simulation.program.wait(lambda: struck, f"mail {number} of {plan.schedule.reference}")
    return struck[0]
