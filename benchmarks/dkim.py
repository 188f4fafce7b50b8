"""What signing costs for one mail, in CPU time, beside composing it: with RSA, with Ed25519 and with both.

A tight loop over `Composer.for_relay`, of which the medians are printed, and what signing costs besides the
operation with the key itself: headers, hash of the body, joining.

Run as `python benchmarks/dkim.py`; prints a table and checks nothing.
"""

import statistics
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.compose import (
    SIZES,
    edition,
    fixed_headers,
    opened,
    ours,
    readers,
    warm,
)
from mailer.message.dkim import DkimSigner, SigningKey
from mailer.message.dkim_keys import KeyType, read_key
from mailer.sending.compiled_content import compile_content
from mailer.settings.key_files import new_key

ROUNDS = 5
MAILS = 1_000
DOMAIN = "courier.example"


def measure(language: str, kilobytes: int, keys: list[SigningKey]) -> None:
    """One line of the table."""
    relay = opened().capabilities
    rsa, ed25519 = keys
    free = replace(rsa, sign=lambda data: bytes(256))
    signers = [None, *(DkimSigner(DOMAIN, one) for one in ([free], [rsa], [ed25519], keys))]
    ways = [ours(relay, signer) for signer in signers]
    for articles in count(1):
        compiled = compile_content(edition(language, articles), fixed_headers)
        among = readers(compiled, MAILS)
        size = len(ways[0](among[0])[1])
        if size >= kilobytes * 1000:
            break
    rounds = [[warm(way, among) for way in ways] for _ in range(ROUNDS)]
    alone, unsigned, *signed = map(statistics.median, zip(*rounds, strict=True))
    print(
        f"{language:10}{size / 1000:5.0f}{alone:11.1f}{unsigned - alone:15.1f}"
        + "".join(f"{one:10.1f}" for one in signed),
        flush=True,
    )


def main() -> None:
    """Print the table."""
    keys = [read_key(new_key(kind), kind.value, "") for kind in KeyType]
    print("CPU time for one mail, µs")
    print("language    KB    unsigned  without key        + RSA + Ed25519    + both")
    for language, kilobytes in SIZES:
        measure(language, kilobytes, keys)


if __name__ == "__main__":
    main()
