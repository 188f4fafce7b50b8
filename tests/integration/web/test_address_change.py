"""A reader's new address: nothing changes before it confirms, and then everything follows."""

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from mailer.address import Address, parse
from mailer.errors import NotFound, Refused
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    JournalEntry,
    JournalKind,
    Notice,
    NoticeKind,
    Signup,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.newsletters.offer import Publisher, offer
from mailer.permission.consent import Origin
from mailer.permission.rule import forgiven_before, notice_may_be_mailed
from mailer.subscribers.entering.decide import EntryResult, NewReader
from mailer.subscribers.entering.enter import enter
from mailer.subscribers.erase import erase
from mailer.subscribers.importing.rows import ImportRow
from mailer.subscribers.reader_edit import EditedReader, ReaderEdit, edit_reader
from mailer.subscribers.signup import ScheduleChoice
from mailer.tokens import Purpose
from tests.integration.web.conftest import Paper
from tests.support import factories
from tests.support.factories import NOW
from tests.support.traces import columns_with
from tests.support.website import Website

OLD, NEW = parse("reader@example.com"), parse("new@example.org")
Edit = Callable[..., EditedReader]


@pytest.fixture
def edit(website: Website) -> Edit:
    """Changes the reader with the old address as staff do."""

    def change(
        name: str | None = None,
        language: str | None = None,
        address: Address | None = None,
        of: Address = OLD,
    ) -> EditedReader:
        origin = Origin("mailer subscriber edit", website.clock[0])
        with website.app.database.write() as session:
            changes = ReaderEdit(name, language, address)
            return edit_reader(session, of, changes, origin, website.app.signup_context)

    return change


def person(website: Website) -> Subscriber:
    found: Subscriber = website.row(select(Subscriber))
    return found


def path(website: Website, purpose: Purpose) -> str:
    signup = website.row(select(Signup))
    return website.link(purpose, signup.public_id, signup.expires_at)


def test_the_new_address_takes_over_when_its_button_is_pressed(
    website: Website, paper: Paper, edit: Edit
) -> None:
    before = website.reader(paper.morning)
    with website.app.database.write() as session:
        factories.consent_event(session, website.app.keys, OLD.typed)
    assert edit(address=NEW).new_address == NEW.typed
    assert person(website).address == OLD.typed
    notice = website.row(select(Notice))
    assert (notice.kind, notice.address) == (NoticeKind.ADDRESS_CHANGE, NEW.typed)
    confirm = path(website, Purpose.CONFIRM)
    assert "Confirm your new email address" in website.get(confirm).body
    assert person(website).address == OLD.typed

    website.pass_time(timedelta(hours=1))
    for _ in range(2):
        answer = website.post(confirm)
        assert (answer.status, "Your email address is changed" in answer.body) == (200, True)
    reader = person(website)
    assert (reader.address, reader.address_key) == (NEW.typed, NEW.key)
    assert reader.key_hash == website.app.keys.key_hash(NEW.key)
    assert reader.reachable_at == website.clock[0]
    after = website.row(select(Subscription))
    assert (after.id, after.public_id, after.start_article, after.schedule_id) == (
        *(before.id, before.public_id, before.start_article, before.schedule_id),
    )
    events = website.rows(select(ConsentEvent).order_by(ConsentEvent.id))
    assert [(event.kind, event.address) for event in events] == [
        (ConsentKind.CONFIRMED, OLD.typed),
        (ConsentKind.REQUESTED, NEW.typed),
        (ConsentKind.CHANGED, OLD.typed),
        (ConsentKind.CONFIRMED, NEW.typed),
    ]
    assert {event.key_hash for event in events} == {reader.key_hash}


def test_the_old_address_is_nowhere_but_in_the_consent_log(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    with website.app.database.write() as session:
        factories.suppression(
            session,
            website.app.keys,
            OLD.typed,
            reason=SuppressionReason.NOT_ME,
            newsletter_id=paper.sport.id,
        )
    edit(address=NEW)
    website.post(path(website, Purpose.CONFIRM))
    stops = website.rows(select(Suppression).order_by(Suppression.id))
    old = website.app.keys.key_hash(OLD.key)
    assert [(stop.address, stop.key_hash, stop.reason) for stop in stops] == [
        (None, old, SuppressionReason.NOT_ME),
        (None, old, SuppressionReason.ERASED),
    ]


def test_erasing_a_reader_finds_what_was_written_under_the_old_address(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    with website.app.database.write() as session:
        keys = website.app.keys
        factories.notice(
            session, keys, OLD.typed, kind=NoticeKind.TEST, reply=f"said of {OLD.typed}"
        )
        note = {"newsletter_id": paper.sport.id, "detail": f"{OLD.typed} asked by phone"}
        factories.suppression(session, keys, OLD.typed, **note)
    edit(address=NEW)
    website.post(path(website, Purpose.CONFIRM))
    with website.app.database.write() as session:
        assert erase(session, website.app.keys.key_hash(NEW.key), source="test", now=NOW)
    assert columns_with(website.app.database, OLD.typed, NEW.typed) == []
    # A backup from before the change knows them by the old address.
    erased = select(JournalEntry.key_hash).where(JournalEntry.kind == JournalKind.ERASED)
    keys = website.app.keys
    assert set(website.rows(erased)) == {keys.key_hash(OLD.key), keys.key_hash(NEW.key)}


def test_no_import_of_an_older_file_enters_the_old_address_again(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    website.post(path(website, Purpose.CONFIRM))
    keys = website.app.keys
    row = NewReader(OLD, keys.key_hash(OLD.key), ImportRow(2, OLD.typed), "import old.csv: fair")
    with website.app.database.write() as session:
        choice = ScheduleChoice(offer(session, Publisher(), "daily"))
        results, _ = enter(session, [row], choice, random=secrets.token_bytes, now=NOW)
    assert results == [EntryResult.SUPPRESSED]
    assert person(website).address == NEW.typed


def test_who_has_left_since_asking_consents_to_nothing(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    with website.app.database.write() as session:
        session.execute(update(Subscription).values(left_at=NOW, left_reason="reader"))
    answer = website.post(path(website, Purpose.CONFIRM))
    assert (answer.status, "is not changed" in answer.body) == (410, True)
    assert person(website).address == OLD.typed
    assert ConsentKind.CONFIRMED not in website.rows(select(ConsentEvent.kind))


def test_a_reader_can_change_back_and_to_an_address_that_was_erased(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    website.post(path(website, Purpose.CONFIRM))
    with website.app.database.write() as session:
        session.execute(delete(Signup))
    website.pass_time(timedelta(days=2))

    edit(address=OLD, of=NEW)
    asked = select(Notice.id).where(
        Notice.address == OLD.typed, notice_may_be_mailed(forgiven_before(website.clock[0]))
    )
    assert len(website.rows(asked)) == 1
    website.post(path(website, Purpose.CONFIRM))
    assert person(website).address == OLD.typed
    kept_away = website.rows(select(Suppression.key_hash))
    assert kept_away == [website.app.keys.key_hash(NEW.key)]


def test_a_request_says_nothing_of_the_reader_to_the_new_address(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(name="Anna Petrosyan", address=NEW)
    (where,) = columns_with(website.app.database, "Petrosyan")
    assert where.endswith('"subscriber"."name"')


def test_not_me_mutes_the_new_address_and_leaves_the_reader(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    assert website.post(path(website, Purpose.NOT_ME)).status == 200
    answer = website.post(path(website, Purpose.CONFIRM))
    assert (answer.status, "is not changed" in answer.body) == (410, True)
    assert person(website).address == OLD.typed
    stop = website.row(select(Suppression))
    assert (stop.address, stop.newsletter_id) == (NEW.typed, paper.daily.id)
    website.pass_time(timedelta(days=2))
    with pytest.raises(Refused, match="is suppressed"):
        edit(address=NEW)


def test_a_link_that_was_not_used_in_time_changes_nothing(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    confirm = path(website, Purpose.CONFIRM)
    website.pass_time(timedelta(days=8))
    assert website.post(confirm).status == 410
    assert person(website).address == OLD.typed


@pytest.mark.parametrize("how", ["another reader", "erased"])
def test_who_cannot_take_the_address_any_more_is_told_so(
    website: Website, paper: Paper, edit: Edit, how: str
) -> None:
    website.reader(paper.morning)
    edit(address=NEW)
    if how == "another reader":
        website.reader(paper.morning, NEW.typed)
    else:
        with website.app.database.write() as session:
            session.merge(person(website)).erased_at = NOW
    answer = website.post(path(website, Purpose.CONFIRM))
    assert (answer.status, "is not changed" in answer.body) == (410, True)
    assert website.row(select(Signup)).dropped_at is not None
    first = select(Subscriber.address).order_by(Subscriber.id).limit(1)
    assert website.row(first) == OLD.typed


def test_letters_of_the_same_address_may_change(website: Website, paper: Paper, edit: Edit) -> None:
    website.reader(paper.morning)
    edit(address=parse("Reader@example.com"))
    website.post(path(website, Purpose.CONFIRM))
    assert (person(website).address, person(website).address_key) == ("Reader@example.com", OLD.key)


def test_what_cannot_be_asked_is_refused(website: Website, paper: Paper, edit: Edit) -> None:
    with pytest.raises(NotFound, match="no reader has"):
        edit(address=NEW)
    reader = website.reader(paper.morning)
    website.reader(paper.morning, "other@example.com")
    with pytest.raises(Refused, match="already; nothing to change"):
        edit(address=OLD)
    with pytest.raises(Refused, match="another reader"):
        edit(address=parse("other@example.com"))
    edit(address=NEW)
    with pytest.raises(Refused, match="mailed just now"):
        edit(address=NEW)
    with website.app.database.write() as session:
        session.merge(reader).left_at = NOW
    with pytest.raises(Refused, match="unsubscribed from everything"):
        edit(address=parse("third@example.com"))
    assert len(website.rows(select(Signup))) == 1


def test_name_and_language_change_at_once_and_pages_and_mails_follow(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    edited = edit(name="Anna Petrosyan", language="fr")
    assert (edited.name, edited.language) == ("Anna Petrosyan", "fr")
    preferences = website.link(
        Purpose.PREFERENCES, person(website).public_id, NOW + timedelta(hours=1)
    )
    assert '<html lang="fr"' in website.get(preferences).body
    website.post("/preferences", {"email": OLD.typed})
    assert website.row(select(Notice)).language == "fr"
    edit(address=NEW)
    assert '<html lang="fr"' in website.get(path(website, Purpose.CONFIRM)).body
    asked = select(Notice.language).where(Notice.kind == NoticeKind.ADDRESS_CHANGE)
    assert website.row(asked) == "fr"
    edited = edit(name="", language="")
    assert (edited.name, edited.language) == (None, None)
    assert '<html lang="en"' in website.get(preferences).body


def test_a_name_that_no_mail_may_show_is_refused(
    website: Website, paper: Paper, edit: Edit
) -> None:
    website.reader(paper.morning)
    with pytest.raises(Refused, match="cannot stand in a mail"):
        edit(name="call 0800 1234567")
