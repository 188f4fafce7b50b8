"""Runs the demo: a sample newsroom, the real sign-up form and a local inbox.

It types commands, opens URLs, serves a feed and receives mail over SMTP, as a newsroom, its readers
and their mail programs do. Never imports anything of the mailer but itself.
"""

import signal
import sys
from types import FrameType


def main(once: bool, port: int | None) -> int:
    """Run the demo until it is interrupted, or once from end to end.

    Args:
        once: go through everything unattended, checking each step, and return.
        port: the port of the sign-up form; the following three are used as well. None takes free
            ones.

    Returns:
        The exit status: 0, also if the user ends the interactive demo; 1 if a step failed;
        130 if `once` was interrupted.
    """
    # Imported here because `mailer --help` knows this function without wanting its servers.
    from mailer.demo import interactive
    from mailer.demo.checklist import Checklist, StepFailed
    from mailer.demo.servers import PortTaken
    from mailer.demo.setup import Demo
    from mailer.demo.tour import Tour

    before = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    checklist = Checklist()
    try:
        with Demo(checklist, port) as demo:
            if once:
                Tour(demo).walk()
            else:
                interactive.run(demo)
    except KeyboardInterrupt:
        checklist.show_status("")
        checklist.say("\nEnded; the mailer has stopped and its folder is removed.")
        return 130 if once else 0
    except PortTaken as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except StepFailed:
        sys.stderr.write("error: the demo has failed; what is printed above says where and why\n")
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    # SIGTERM and a closed terminal end the demo as Ctrl-C does.
    raise KeyboardInterrupt
