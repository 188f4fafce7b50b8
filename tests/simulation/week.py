"""Plays the week itself, from one Monday to the next: who does what, and when.

Every act is one of `people`; what was set up before stands in `setup`.
"""

from dataclasses import dataclass, field

from tests.simulation import audit, failures
from tests.simulation.model import Schedule
from tests.simulation.people import People
from tests.simulation.setup import DAILY, HY, RU, SHARED, WEEKLY, at, mail
from tests.simulation.site import Story
from tests.simulation.stories import INTRO, LETTER

FAIR = "The fair opens, and the bridge is closed"
BY_HAND = "Letters to the editor"


@dataclass
class Week(People):
    """Eight mornings and evenings of two newspapers."""

    kept: dict[str, Story] = field(default_factory=dict)

    def play(self) -> None:
        """All of it, while the daemons run."""
        self.write("news", 3, at(18, "17:30"))
        self.write("hy", 2, at(18, "17:30"))
        for day in (self.monday, self.tuesday, self.wednesday, self.thursday, self.friday,
                    self.saturday, self.sunday, self.monday_after):  # fmt: skip
            day()

    def monday(self) -> None:
        """People sign up; one of them never confirms, and one never asked."""
        self.slot(HY, at(19, "04:00"))
        self.slot(DAILY, at(19, "05:30"))
        self.read(at(19, "11:00"))
        for name, reference in (("nora", DAILY), ("paul", WEEKLY), ("rita", RU), ("sam", RU),
                                ("tess", DAILY), ("uma", DAILY)):  # fmt: skip
            self.sign_up(mail(name), reference, name.title())
            if name in ("nora", "paul", "rita"):
                self.confirm(mail(name), reference, name.title())
        self.reject(mail("tess"))
        self.write("news", 3, at(19, "11:10"))
        self.write("culture", 1, at(19, "11:10"))
        self.write("hy", 2, at(19, "11:10"))
        self.write("ru", 2, at(19, "11:10"))
        self.write("common", 1, at(19, "11:10"), category=SHARED)
        self.review(RU, at(19, "15:00"))
        self.slot(RU, at(19, "15:00"))
        # It is dated before the digest that went out this morning, but comes only now.
        self.write("news", 1, at(19, "05:00"))
        self.write("news", 1, at(19, "18:00"))

    def tuesday(self) -> None:
        """A sender is killed, a feed begins to fail, stories change, and a digest is stopped."""
        self.write("news", 1, at(20, "07:00"))  # Dated ahead: it waits for its time.
        self.slot(HY, at(20, "04:00"))
        failures.kill(self, self.plan(self.model.schedules[DAILY], at(20, "05:30")))
        self.site.down.add("culture")
        self.change_schedule(mail("alice"), WEEKLY)
        self.write("ru", 2, at(20, "10:00"))
        self.write("common", 1, at(20, "10:00"), category="Լուրեր")
        self.read(at(20, "10:50"))
        self.write("news", 4, at(20, "10:00"))
        self.read(at(20, "11:20"))
        withdrawn, edited, by_staff, pulled = list(self.site.stories.values())[-4:]
        self.program.type("article", "withdraw", str(self.article(withdrawn.key)))
        self.model.withdrawn.add(withdrawn.key)
        edited.title = "Edited in the feed before anybody had it"
        self.site.stories["news-7"].title = "Edited in the feed when it was read already"
        self.program.type("article", "edit", str(self.article(by_staff.key)), "--title", "By hand")
        self.model.titles[by_staff.key] = "By hand"
        self.model.titled_by_staff.add(by_staff.key)
        stop, _ = self.review(RU, at(20, "15:00"))
        self.press(stop)
        self.say("a digest is stopped from its review")
        self.slot_without_mail(RU, at(20, "15:00"), "cancelled")
        # The site takes it down again; the mailer knows it, and it is sent.
        pulled.gone = True
        self.write("hy", 1, at(20, "18:00"))
        self.kept.update(edited=edited, by_staff=by_staff)

    def wednesday(self) -> None:
        """Mailboxes are gone, one leaves, one confirms late; a failing feed is told of; staff edit."""
        self.slot(HY, at(21, "04:00"))
        # One has no mailbox from now on, and is suppressed; another's is full for a day.
        self.relay.gone.add(mail("frank"))
        self.relay.full.add(mail("gwen"))
        mails = self.slot(DAILY, at(21, "05:30"))
        self.relay.full.clear()
        self.model.refused.add(mail("frank"))
        text = "\n".join(one.words for one in mails)
        for words in (self.kept["edited"].title, "By hand"):
            self.check(words in text, f"nobody was sent {words!r}")
        self.check(self.kept["by_staff"].title not in text, "a title that staff changed was sent")
        self.leave(mail("bob"), "courier")
        # It has failed for a day now.
        self.program.clock.go_to(at(21, "11:50"))
        self.wait_for_staff_mail(self.site.feed("culture"))
        self.say("staff are told of a feed that fails")
        self.site.down.clear()
        self.write("culture", 2, at(21, "09:00"))
        self.refresh("culture")
        self.confirm(mail("uma"), DAILY, "Uma")
        self.write("ru", 1, at(21, "12:00"))
        self.write("hy", 1, at(21, "12:00"))
        self.review(RU, at(21, "15:00"))
        self.slot(RU, at(21, "15:00"))
        self.write("news", 9, at(21, "16:00"))
        self.read(at(21, "19:00"))
        self.edit_the_fair()

    def edit_the_fair(self) -> None:
        """Staff change the coming digest: subject, introduction, lead, and a story less."""
        lead, dropped = [self.site.stories[key] for key in list(self.site.stories)[-4:-2]]
        (self.program.folder / "intro.md").write_text(INTRO)
        self.program.type(
            *("digest", "edit", DAILY, "--subject", FAIR, "--intro", "intro.md"),
            *("--lead", str(self.article(lead.key)), "--drop", str(self.article(dropped.key))),
        )
        self.model.schedules[DAILY].lead = lead.key
        self.model.schedules[DAILY].subject = FAIR
        self.model.dropped.add(("courier", dropped.key))

    def thursday(self) -> None:
        """The edited digest, with more than it has room for; a restart; a site moves; a pause."""
        self.slot(HY, at(22, "04:00"))
        before = self.inbox.number
        failures.restart(self, self.plan(self.model.schedules[DAILY], at(22, "05:30")))
        for one in self.inbox.digests(before):
            self.check(
                "Mind the bridge" in one.words and "<em>harbour fair</em>" in one.html,
                f"mail {one.number} lacks the introduction that staff wrote",
            )
        # All addresses and guids are others now, and two stories are truly new.
        self.site.moved.add("news")
        self.model.held.add("news")
        self.write("news", 2, at(22, "08:00"))
        self.read(at(22, "09:00"))
        self.wait_for_staff_mail(f"mailer feed accept {self.site.feed('news')}")
        self.say("what a moved site calls new is held")
        self.program.type("schedule", "pause", RU)
        self.change_in_preferences(mail("walter"), DAILY)
        # One is dated nine days ago, and one too long ago for any digest; both were written today.
        self.write("culture", 1, at(13, "10:00"))
        self.write("culture", 1, at(-20, "10:00"))
        self.write("ru", 2, at(22, "10:00"))
        self.write("common", 1, at(22, "10:00"), category=SHARED)
        self.slot_without_mail(RU, at(22, "15:00"), None)
        self.write("hy", 3, at(22, "18:00"))

    def friday(self) -> None:
        """What was carried over comes; the move is accepted; a digest is sent from its review."""
        self.slot(HY, at(23, "04:00"))
        self.slot(DAILY, at(23, "05:30"))
        done = self.program.ask("feed", "accept", self.site.feed("news"))
        self.model.held.clear()
        self.model.fetched(self.program.clock.now(), ["news"])
        self.check(done["new"] == 2, f"accepted: {done}, and two were new")
        self.program.type("schedule", "resume", RU)
        self.by_hand()
        self.read(at(23, "11:00"))
        # Bob comes back, and gets nothing that he had.
        self.sign_up(mail("bob"), DAILY, "Bob")
        self.confirm(mail("bob"), DAILY, "Bob")
        self.write("ru", 2, at(23, "11:30"))
        _, send = self.review(RU, at(23, "15:00"))
        plan = self.planned(self.model.schedules[RU], at(23, "15:00"))
        self.sent(plan, lambda: self.press(send))
        self.say("that was sent from its review")
        self.slot_without_mail(RU, at(23, "15:00"), "sent")
        self.write("hy", 2, at(23, "18:00"))
        self.write("news", 2, at(23, "18:00"))

    def by_hand(self) -> None:
        """Staff put in a story that is in no feed."""
        self.program.type(
            *("article", "add", "--newsletter", "courier", "--title", BY_HAND),
            *("--url", "https://www.courier.example/letters/by-hand", "--summary", "Four of them."),
        )
        now = self.program.clock.now()
        story = self.site.publish("culture", now)
        del self.site.stories[story.key]
        story.key, story.gone = "by-hand", True
        self.site.stories[story.key] = story
        self.model.known[story.key] = now
        self.model.titles[story.key] = BY_HAND

    def saturday(self) -> None:
        """One leaves while a digest waits; one is held; a letter and a choice of stories go out."""
        self.leave_while_it_waits(mail("garo"))
        failures.hold(self, self.plan(self.model.schedules[DAILY], at(24, "05:30")))
        self.program.type("suppression", "add", mail("eve"), "--reason", "she called us")
        self.model.refused.add(mail("eve"))
        self.unsubscribe(mail("carol"), "courier")
        self.write("ru", 2, at(24, "09:00"))
        self.write("culture", 2, at(24, "09:00"))
        self.choice()
        self.letter()
        self.review(RU, at(24, "15:00"))
        self.slot(RU, at(24, "15:00"))
        self.write("news", 2, at(24, "18:00"))
        self.write("hy", 2, at(24, "18:00"))

    def leave_while_it_waits(self, address: str) -> None:
        """All sending is paused when a digest is built; one of its readers leaves; it goes on."""
        schedule, slot = self.model.schedules[HY], at(24, "04:00")
        plan = self.plan(schedule, slot)
        self.program.type("pause", "--reason", "the relay is looked after")
        before = self.inbox.number
        self.go_past(slot)
        self.program.wait(
            lambda: (self.digest(schedule, self.name(schedule, slot)) or {}).get("status") == "sending",
            "a digest in the queue", every=0.3,
        )  # fmt: skip
        self.leave(address, "araks-hy")
        plan.without(address)
        self.check(self.inbox.number == before, "a mail went out while sending was paused")
        self.sent(plan, lambda: self.program.type("resume"))

    def choice(self) -> None:
        """Two new stories and an old one, sent to all who read English and have not had them."""
        self.read(at(24, "10:00"))
        newest = [key for key in self.site.stories if key.startswith("culture-")][-2:]
        chosen = (*newest, "news-10")
        self.program.type(
            *("digest", "once", "courier", "--at", "2026-10-24 12:00", "--zone", "Europe/London"),
            *(f"--article={self.article(key)}" for key in chosen),
        )
        once = Schedule("courier", "once-2026-10-24-1200", lead=chosen[0], chosen=chosen)
        mails = self.sent(self.plan(once, at(24, "11:00")), lambda: self.go_past(at(24, "11:00")))
        self.check(len({one.keys for one in mails}) > 1, "nobody had any of the chosen stories")

    def letter(self) -> None:
        """A letter without any story, to everybody who reads Armenian."""
        (self.program.folder / "letter.md").write_text(LETTER)
        self.program.type(
            *("digest", "once", "araks-hy", "--at", "2026-10-24 16:00", "--zone", "Asia/Yerevan"),
            *("--subject", "Շնորհակալություն", "--intro", "letter.md"),
        )
        letter, slot = Schedule("araks-hy", "once-2026-10-24-1600"), at(24, "12:00")
        readers = [one.address for one in self.model.on(letter)]
        before = self.inbox.number
        self.go_past(slot)
        found = self.wait_until_over(letter, self.name(letter, slot))
        mails = self.inbox.digests(before)
        self.check(
            sorted(one.address for one in mails) == sorted(readers), "the letter reached others"
        )
        self.check(not any(one.keys for one in mails), "the letter holds stories")
        for one in mails:
            self.check("տասը տարեկան" in one.words, f"mail {one.number} is not the letter")
        self.judged |= {one.number for one in mails}
        self.note("araks-hy", len(mails))
        self.say(f"a letter, digest {found['id']}: {len(mails)} mails")

    def sunday(self) -> None:
        """London's clocks have gone back; the weekly digest is shown to staff, and goes out."""
        self.slot(HY, at(25, "04:00"))
        self.slot(DAILY, at(25, "06:30"))
        self.review(WEEKLY, at(25, "10:00"))
        self.slot(WEEKLY, at(25, "10:00"))
        # Alice goes back to every day.
        self.change_schedule(mail("alice"), DAILY)
        self.write("news", 1, at(25, "11:00"))
        self.write("ru", 1, at(25, "11:00"))
        self.write("hy", 1, at(25, "11:00"))
        self.review(RU, at(25, "15:00"))
        self.slot(RU, at(25, "15:00"))

    def monday_after(self) -> None:
        """What is left goes out, the weekly digest a week later, until nothing is."""
        self.write("hy", 1, at(25, "18:00"))
        # Readers who have stories waiting get all of them.
        self.program.type("schedule", "edit", DAILY, "--max-articles", "60")
        self.model.schedules[DAILY].max_articles = 60
        self.slot(HY, at(26, "04:00"))
        self.slot(DAILY, at(26, "06:30"))
        # One mail failed each morning; staff do not wait for the mailbox any longer.
        self.unsubscribe(mail("frank"), "courier")
        self.review(WEEKLY, at(32, "10:00"))
        self.slot(WEEKLY, at(32, "10:00"))
        audit.wait_for_reports(self)
