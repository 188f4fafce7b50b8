"""People who signed up, got digests and bounced are erased while everything runs, and leave no trace.

Each on both engines: one by a command, one by the links that are mailed. Afterwards the database, its files
and all logs are searched.
"""

from email.message import EmailMessage
from typing import Any

import pytest

from tests.support import returned_mail
from tests.support.commands import NEWSLETTER
from tests.support.traces import columns_of, contains, files_with
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.thorough, pytest.mark.real_processes, pytest.mark.timeout(400)]

BY_COMMAND = "anna.vanishing@first.example"
BY_LINK = "boris.vanishing@second.example"
STAYS = "clara.staying@third.example"
NAME = "Vanishing Person"
WORDS = ("vanishing", "first.example", "second.example")
TO = "bounce@news.example"


@pytest.fixture
def paper(installation: Any, site: Any) -> Any:
    """A newsletter with a feed; what comes back is read by a command."""
    installation.settings.update(bounce_address=TO, log_level="debug")
    site.publish("Old")
    installation.type(*NEWSLETTER)
    installation.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    installation.type("schedule", "add", "daily", "morning", "--at", "06:30", "--zone", "UTC")
    return installation


def link(mail: EmailMessage, page: str) -> str:
    """The link to a page in a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    (found,) = [word for word in body.get_content().split() if f"/{page}/" in word]
    return str(found)


def sign_up(paper: Any, inbox: Any, browse: Any, address: str) -> None:
    base = paper.settings["base_url"]
    name = "Clara Staying" if address == STAYS else NAME
    fields = {"email": address, "newsletter": "daily", "name": name}
    assert browse(f"{base}/subscribe", fields)[0] == 200
    (request,) = inbox.wait_for(address, 1)
    assert browse(link(request, "confirm"), {})[0] == 200


def mailed_link(inbox: Any, address: str, number: int, page: str) -> str:
    return link(inbox.wait_for(address, number)[-1], page)


def test_nothing_is_left_of_whoever_was_erased(
    paper: Any, inbox: Any, site: Any, browse: Any
) -> None:
    base = paper.settings["base_url"]
    with paper.running():
        wait_until(lambda: browse(f"{base}/readyz")[0] == 200)
        for address in (BY_COMMAND, BY_LINK, STAYS):
            sign_up(paper, inbox, browse, address)
        site.publish("New")
        paper.type("feed", "refresh")
        sent = paper.ask("digest", "send", "daily/morning", "--wait", "--yes")
        for address in (BY_COMMAND, BY_LINK, STAYS):
            inbox.wait_for(address, 2)
        for address in (BY_COMMAND, BY_LINK):
            (digest,) = [mail for mail in inbox.relay.mails if mail.recipient == address][1:]
            reply = f"452 4.2.2 the mailbox of {address} is full"
            bounced = returned_mail.bounce(digest.data, digest.sender, status="4.2.2", reply=reply)
            file = paper.folder.parent / f"{paper.folder.name}-bounced.eml"
            file.write_bytes(bounced)
            try:
                paper.type("bounce", "process", str(file))
            finally:
                file.unlink()
        assert len(paper.ask("subscriber", "show", BY_COMMAND)["returned"]) == 1

        paper.type("subscriber", "erase", BY_COMMAND, "--yes")

        assert browse(f"{base}/preferences", {"email": BY_LINK})[0] == 200
        preferences = mailed_link(inbox, BY_LINK, 3, "preferences")
        assert browse(preferences, {"ask": "data"})[0] == 200
        data = mailed_link(inbox, BY_LINK, 4, "data")
        status, page = browse(data)
        assert (status, BY_LINK in page, NAME in page) == (200, True, True)
        assert browse(preferences, {"ask": "erase"})[0] == 200
        erase = mailed_link(inbox, BY_LINK, 5, "erase")
        assert browse(erase)[0] == 200
        assert BY_LINK in {row["address"] for row in paper.ask("subscriber", "list")}
        for _ in range(2):
            status, page = browse(erase, {})
            assert (status, "vanishing" in page.lower()) == (200, False)

        assert {row["address"] for row in paper.ask("subscriber", "list")} == {STAYS}
        assert "vanishing" not in browse(data)[1].lower()
    shown = paper.ask("digest", "show", str(sent["id"]))
    assert shown["deliveries"] == sent["deliveries"]
    assert shown["deliveries"]["sent"] == 3
    check_nothing_is_left(paper)


def check_nothing_is_left(paper: Any) -> None:
    """Search the database, its files and the logs."""
    # It says that they were erased before, and rewrites the file once more.
    paper.type("subscriber", "erase", BY_LINK, "--yes", "--vacuum")
    log = paper.log().encode()
    assert not contains(log, WORDS)
    url = paper.settings.get("database_url", f"sqlite:///{paper.folder / 'mailer.db'}")
    assert columns_of(url, *WORDS, NAME) == []
    assert columns_of(url, STAYS)
    assert files_with(paper.folder, *WORDS) == []
    if "database_url" not in paper.settings:
        assert "mailer.db" in files_with(paper.folder, STAYS)
