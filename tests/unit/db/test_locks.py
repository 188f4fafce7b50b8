"""The registry of advisory locks."""

from pathlib import Path

from mailer.db import AdvisoryLock

ROOT = Path(__file__).parents[3]


def test_the_keys_stay_what_they_are_while_versions_run_side_by_side() -> None:
    assert {lock.name: lock.value for lock in AdvisoryLock} == {
        "UPGRADE_SCHEMA": 1835100524,
        "CLAIM_SLOTS": 120265147966834,
        "ADD_ARTICLES": 1717921124,
        "COUNT_SIGNUPS": 120265147940866,
        "CHANGE_SUBSCRIBERS": 120265147940867,
        "EXCLUSIVE_USE": 120265147940868,
    }


def test_no_lock_is_taken_past_the_registry() -> None:
    files = (ROOT / "mailer").rglob("*.py")
    assert {f.name for f in files if "pg_advisory" in f.read_text()} == {"locks.py"}
