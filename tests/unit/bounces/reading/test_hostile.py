"""Nothing that strangers send makes reading fail, or take long."""

import random
import time
from collections.abc import Callable

import pytest

from mailer.bounces.reading.mime import LONGEST_READ, read_mail
from mailer.bounces.reading.read import read_returned
from mailer.bounces.reasons import Reason
from tests.support.returned_mails import READER, samples

MUTATIONS = 1_000
TOP = b"From: MAILER-DAEMON@relay.example\nTo: b@news.example\nSubject: Undelivered\n"
MULTIPART = TOP + b"Content-Type: multipart/mixed; boundary=b\n\n"
PIECES = [
    b"\n", b"\r", b"\0", b"\xff\xc3", b"=?utf-8?b?", b"--=_1", b"--=_1--", b"Content-Type: ", b";", b'"',
    b"Content-Type: message/delivery-status\n\n", b"multipart/digest", b"boundary=", b"<", b"@", b"5.1.1",
    b"Content-Transfer-Encoding: base64\n", b"charset=utf-16", b"\x1b$B", b"Final-Recipient: ", b"%00" * 50,
]  # fmt: skip


def mutate(raw: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(raw) + 1)
        end = min(len(raw), at + chance.choice([0, 0, 1, 3, 20, 200]))
        filling = chance.choice([*PIECES, b"", raw[at:end] * 3, bytes([chance.randrange(256)])])
        raw = raw[:at] + filling + raw[end:]
    return raw


@pytest.mark.parametrize(
    "seed", [12, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in (13, 14, 15))]
)
def test_no_mutation_of_a_sample_makes_it_fail(seed: int) -> None:
    chance = random.Random(seed)
    mails = [one.raw for one in samples()]
    for _ in range(MUTATIONS):
        raw = mutate(chance.choice(mails), chance)
        mail = read_returned(raw)
        assert mail.reason in Reason, raw
        for recipient in mail.recipients:
            assert recipient.address is None or recipient.address.isprintable(), raw


def cpu_seconds(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "letters": lambda size: TOP + b"\n" + b"a" * size,
    "addresses": lambda size: TOP + b"\n" + b"a@b.example " * (size // 12),
    "address-lines": lambda size: TOP + b"\n" + b"x a@b.example unknown y\n" * (size // 24),
    "at-signs": lambda size: TOP + b"\n" + b"@" * size,
    "nesting": lambda size: (
        TOP
        + b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
            for depth in range(size // 50)
        )
    ),
    "mails-in-mails": lambda size: TOP + b"Content-Type: message/rfc822\n\n" * (size // 30),
    "parts": lambda size: MULTIPART + b"--b\n\na@b.example\n" * (size // 18),
    "digest": lambda size: (
        MULTIPART.replace(b"mixed", b"digest")
        + b"--b\n\nContent-Type: multipart/digest; boundary=b\n\n" * (size // 50)
    ),
    "header": lambda size: b"X: " + b"a" * size,
    "fields": lambda size: b"X: a\n" * (size // 5),
    "folded": lambda size: TOP + b"X: a\n" + b" b\n" * (size // 3),
    "parameters": lambda size: TOP + b"Content-Type: a/b" + b'; a="b"' * (size // 7) + b"\n\n",
    "quotes": lambda size: TOP + b"Content-Type: multipart/mixed; boundary=" + b'"' * size,
    "words": lambda size: TOP + b"From: " + b"=?utf-8?q?a?=" * (size // 13) + b"\n\n",
    "half-words": lambda size: TOP + b"Cc: " + b"=?a?" * (size // 4) + b"\n\n",
    "nul": lambda size: b"\0" * size,
    "groups": lambda size: (
        TOP
        + b"Content-Type: message/delivery-status\n\n"
        + b"Final-Recipient: rfc822; a@b.example\nAction: failed\n"
        b"Diagnostic-Code: smtp; 550 what is it now that nobody knows\n\n" * (size // 115)
    ),
    "tags": lambda size: TOP + b"Content-Type: text/html\n\n" + b"<p " * (size // 3),
    "comments": lambda size: TOP + b"Content-Type: text/html\n\n" + b"<!-- " * (size // 5),
    "entities": lambda size: TOP + b"Content-Type: text/html\n\n" + b"&lt;&#65;" * (size // 9),
    "quoted": lambda size: (
        TOP + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=3D=\n" * (size // 5)
    ),
    "base64": lambda size: TOP + b"Content-Transfer-Encoding: base64\n\n" + b"QUFB" * (size // 4),
    "accents": lambda size: TOP + b"\n" + "é".encode() * (size // 2),
    "syllables": lambda size: TOP + b"\n" + "메".encode() * (size // 3),
    "dashes": lambda size: TOP + b"\n" + b"--\n" * (size // 3),
    "boundaries": lambda size: b"Subject: x\n\n" + b"--b\nContent-x\n" * (size // 14),
    "fields-in-text": lambda size: TOP + b"\nx\n" + b"Received: x\nFrom: y\n\n" * (size // 21),
    "references": lambda size: b"To: " + b"d1." * (size // 3) + b"\n\n",
    "failed-recipients": lambda size: (
        TOP + b"X-Failed-Recipients: a@b.example\n" * (size // 33) + b"\n"
    ),
    "almost-phrases": lambda size: TOP + b"\n" + b"user account mailbox quota " * (size // 27),
}
TIMES = 8
GENEROUS = 24
"""In proportion it is 8, and with the square of the length 64."""
FLOOR_SECONDS = 0.02
LONG = LONGEST_READ


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_the_mail(name: str) -> None:
    make = HOSTILE[name]
    short, long = make(LONG // TIMES), make(LONG)

    def growth() -> float:
        least = max(cpu_seconds(lambda: read_returned(short)), FLOOR_SECONDS)
        return cpu_seconds(lambda: read_returned(long)) / least

    # What else the machine does may spoil one measurement, but not three.
    assert any(growth() <= GENEROUS for _ in range(3))


def test_only_the_head_of_a_huge_mail_is_read() -> None:
    # 30 MB behind a bounce: what is said about the reader stands before.
    huge = TOP + f"\n{READER}: user unknown\n\n".encode() + b"news " * 6_000_000
    mail = read_returned(huge)
    assert mail.reason is Reason.USER_UNKNOWN
    assert [one.address for one in mail.recipients] == [READER]
    assert read_returned(huge[:LONGEST_READ]) == mail


@pytest.mark.parametrize("name", ["nesting", "mails-in-mails", "parts", "digest", "boundaries"])
def test_parts_are_few(name: str) -> None:
    assert len(read_mail(HOSTILE[name](LONG)).parts) <= 100
