"""`mailer digest`: what goes out. One file for each group of verbs, loaded when one of them is called."""

from typing import Final

from mailer.cli.lazy import LazyGroup

VERBS: Final[dict[str, tuple[str, str]]] = {
    "plan": (
        "mailer.cli.digest.plan:plan",
        "Say who would get what at a slot, and why others would get nothing.",
    ),
    "preview": (
        "mailer.cli.digest.preview:preview",
        "Show the digest as most of its readers would see it; prints the text, or writes files.",
    ),
    "test": (
        "mailer.cli.digest.preview:test",
        "Send a marked copy of the digest to somebody.",
    ),
    "edit": (
        "mailer.cli.digest.edit:edit",
        "Change the coming digest, whichever slot it is.",
    ),
    "once": (
        "mailer.cli.digest.edit:once",
        "Send something once, to the readers of all schedules of the newsletter SLUG.",
    ),
    "send": (
        "mailer.cli.digest.send:send",
        "Build the digest of a slot now, and send it; the scheduler then finds it done.",
    ),
    "list": (
        "mailer.cli.digest.show:list_",
        "List digests, the newest first: all of them, or those of one newsletter.",
    ),
    "show": (
        "mailer.cli.digest.show:show",
        "Show a digest: its editions, where its deliveries stand, and how fast it goes.",
    ),
    "pause": (
        "mailer.cli.digest.pause:pause",
        "Begin no more mails of a digest, until `mailer digest resume`.",
    ),
    "resume": (
        "mailer.cli.digest.pause:resume",
        "Go on with a digest that was paused, by staff or by itself.",
    ),
    "cancel": ("mailer.cli.digest.pause:cancel", "End a digest for good."),
    "report": (
        "mailer.cli.digest.report:report",
        "Say how a digest went: sent, failed and why, in doubt, and who left since.",
    ),
}
"""Every verb: where its command is, and its line in `mailer digest --help`."""

digest = LazyGroup(
    "digest",
    table=VERBS,
    help="What goes out: plan, preview, test, edit, send, pause and cancel.",
)
