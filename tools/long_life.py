"""Lives new random lives until the time is over, and stops at the first that finds something.

`make property MINUTES=60` runs it. `python tools/long_life.py --seed N` lives one again: everything about a
life comes from its seed, also how long it is and on which engine.
"""

import argparse
import logging
import random
import secrets
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from mailer import schema
from mailer.db import Database
from mailer.digests.selection import choose
from mailer.tokens import Keys
from tests.integration.digests.life import Life
from tests.support import postgresql
from tests.support.factories import NOW

KEYS = Keys(secrets=(b"secret key of the lives" * 2,), identity=b"identity key of the lives" * 2)
COHORTS = (choose.MAX_COHORTS, choose.MAX_COHORTS, choose.MAX_COHORTS, 1, 2, 5)


def live(seed: int, url: str) -> tuple[int, Counter[str]]:
    """Live the life of that seed in an empty database: how many slots it had, and what happened."""
    kind = random.Random(f"kind {seed}")
    number, cohorts = kind.choice([100, 300, 600]), kind.choice(COHORTS)
    few_lists = cohorts < choose.MAX_COHORTS
    roomy = not few_lists and kind.random() < 0.25
    database = Database(url)
    try:
        schema.create(database, KEYS.fingerprint(), NOW)
        with (
            mock.patch.object(choose, "MAX_COHORTS", cohorts),
            Life(database, KEYS, seed, roomy=roomy, few_lists=few_lists) as life,
        ):
            life.live(number)
    finally:
        database.dispose()
    return number, life.happened


def main() -> int:
    """Live one life after the other; 1 where one found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    # Every slot that nobody was there for is told of.
    logging.disable(logging.WARNING)
    until = time.monotonic() + 60 * asked.minutes
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, postgresql.server() as server:
        while True:
            seed = asked.seed if asked.seed is not None else secrets.randbelow(2**32)
            on_postgresql = seed % 4 == 0
            path = Path(folder) / f"{seed}.db"
            url = server.create() if on_postgresql else f"sqlite:///{path}"
            try:
                number, happened = live(seed, url)
            except Exception:
                traceback.print_exc()
                print(f"seed {seed} found something; live it again with --seed {seed}", flush=True)
                return 1
            if on_postgresql:
                server.drop(url)
            path.unlink(missing_ok=True)
            total.update(happened, lives=1, slots=number)
            print(
                f"seed {seed}: {number} slots, {happened['mails']} mails; so far {total['lives']} lives, "
                f"{total['slots']} slots, {total['mails']} mails, nothing found",
                flush=True,
            )
            if asked.seed is not None or time.monotonic() > until:
                return 0


if __name__ == "__main__":
    sys.exit(main())
