"""Keeps each received mail in a file of its own, and reads all that is said of mails from there."""

import json
import re
import threading
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path

from tests.simulation import phrases
from tests.support.receiver import Mail

_KEY = re.compile(r"/((?:news|culture|hy|ru|common)-\d+|by-hand)\b")
_INDEX = "index.jsonl"


@dataclass(frozen=True)
class Received:
    """One mail as it arrived.

    Attributes:
        number: counts from 1, in the order of arrival; its file is called so.
        sender: of its envelope.
        digest: the id of the digest that it says it belongs to; None in confirmations and the like.
    """

    number: int
    sender: str
    address: str
    digest: int | None
    parsed: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.parsed["Subject"])

    @property
    def message_id(self) -> str:
        return str(self.parsed["Message-ID"])

    @property
    def newsletter(self) -> str:
        """The slug of the newsletter that it says it belongs to."""
        return str(self.parsed["List-Id"]).rpartition("<")[2].partition(".")[0]

    @cached_property
    def text(self) -> str:
        return self._part("plain")

    @cached_property
    def html(self) -> str:
        return self._part("html")

    @cached_property
    def words(self) -> str:
        """Its text on one line."""
        return " ".join(self.text.split())

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The stories that its text links to, in their order."""
        return tuple(dict.fromkeys(_KEY.findall(self.text)))

    @cached_property
    def keys_of_html(self) -> tuple[str, ...]:
        """The stories that its HTML links to, in their order."""
        return tuple(dict.fromkeys(_KEY.findall(self.html)))

    def link(self, path: str) -> str:
        """The one link of its text whose path begins so; its HTML has it as well.

        Raises:
            ValueError: there are none, or several.
        """
        found = set(re.findall(rf"http://\S+/{path}/[\w.~-]+", self.text))
        if len(found) != 1:
            raise ValueError(f"mail {self.number} has {len(found)} links to /{path}/")
        return self._also_in_html(str(found.pop()))

    def links(self, base: str) -> list[str]:
        """All links of its text that begin so."""
        return re.findall(rf"{re.escape(base)}/\S+", self.text)

    def link_after(self, language: str, words: str) -> str:
        """The link that follows these words in its text; its HTML has it as well.

        Raises:
            ValueError: there is none.
        """
        return self._also_in_html(phrases.link_after(language, words, self.text))

    @property
    def one_click(self) -> str:
        """The address in its List-Unsubscribe header.

        Raises:
            ValueError: there is none.
        """
        found = re.search(r"<(http[^>]+)>", str(self.parsed["List-Unsubscribe"]))
        if found is None:
            raise ValueError(f"mail {self.number} cannot be left with one click")
        return found[1]

    def is_again(self, other: "Received") -> bool:
        """Whether it is the same mail, delivered twice."""
        return (self.message_id, self.subject, self.text, self.html) == (
            other.message_id,
            other.subject,
            other.text,
            other.html,
        )

    def _also_in_html(self, link: str) -> str:
        if f'href="{link}"' not in self.html:
            raise ValueError(f"the HTML of mail {self.number} lacks {link}")
        return link

    def _part(self, kind: str) -> str:
        part = self.parsed.get_body((kind,))
        return "" if part is None else str(part.get_content())


class Inbox:
    """The folder of received mails; `accept` is called by the relay before it says 250."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._index = folder / _INDEX
        if self._index.exists():
            raise FileExistsError(f"{folder} holds mails already; name an empty folder")
        self._index.touch()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._read: list[Received] = []
        self._written = 0

    def accept(self, mail: Mail) -> None:
        with self._lock:
            self._written += 1
            self.path(self._written).write_bytes(mail.data)
            entry = {"number": self._written, "from": mail.sender, "to": mail.recipient}
            line = json.dumps(entry, ensure_ascii=False)
            with self._index.open("a") as index:
                index.write(line + "\n")

    def path(self, number: int) -> Path:
        return self.folder / f"{number:04}.eml"

    def mails(self, since: int = 0) -> list[Received]:
        """All mails with a greater number, in the order of their arrival."""
        with self._reading:
            lines = self._index.read_text().splitlines()
            for line in lines[len(self._read) :]:
                entry = json.loads(line)
                raw = self.path(entry["number"]).read_bytes()
                parsed = BytesParser(policy=policy.default).parsebytes(raw)
                assert isinstance(parsed, EmailMessage)
                digest = parsed["X-Mailer-Digest"]
                number = int(digest) if digest else None
                self._read.append(
                    Received(entry["number"], entry["from"], entry["to"], number, parsed)
                )
            return self._read[since:]

    def digests(self, since: int = 0) -> list[Received]:
        """Those that belong to a digest."""
        return [mail for mail in self.mails(since) if mail.digest is not None]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.mails())

    def to(self, address: str, since: int = 0) -> list[Received]:
        return [mail for mail in self.mails(since) if mail.address == address]
