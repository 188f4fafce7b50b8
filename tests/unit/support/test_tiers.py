"""What a test needs is said by its mark, and the tiers are complete."""

import re
from pathlib import Path

import pytest

from tests.support import tiers

USES = {
    "chromium": "playwright",
    "dovecot": r"dovecot\(",
    "mount": r"small_disk\(",
    "node": r"node_says\(",
    "opendkim": '"opendkim"',
    "perl": r'"perl"',
    "postfix": r"smtp_sink\(",
    "running_postfix": r"postfix\(open_folder",
    "strace": '"strace"',
}


def test_a_file_that_uses_a_program_marks_what_needs_it() -> None:
    assert USES.keys() == tiers.NEEDS.keys()
    unmarked = {
        (path.name, name)
        for path in tiers.TESTS.rglob("test_*.py")
        for name, word in USES.items()
        if re.search(word, path.read_text()) and f"pytest.mark.needs_{name}" not in path.read_text()
    }
    assert {one for one in unmarked if one[0] != Path(__file__).name} == set()


@pytest.mark.parametrize("place", tiers.ON_POSTGRESQL)
def test_every_place_that_is_named_exists(place: str) -> None:
    assert (tiers.TESTS / place).exists()


def test_no_test_says_how_fast_this_machine_is() -> None:
    """What hangs is for pytest-timeout; a rate is compared with another of the same machine."""
    clock = r"(monotonic|perf_counter|process_time|time\.time)\(\)"
    compared = re.compile(
        rf"assert [^\n]*{clock} - \w+ <=? *[\dA-Z]|wait_until\([^\n]*, \d+\)$", re.M
    )
    for path in tiers.TESTS.rglob("test_*.py"):
        assert compared.search(path.read_text()) is None, path


LISTED = """
import pytest

@pytest.mark.needs_strace
def test_a(): ...

def test_b(): ...
"""


@pytest.mark.parametrize(("workers", "ci"), [("0", False), ("2", True)])
def test_what_cannot_run_is_listed_and_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str, ci: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tiers.TESTS.parent))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", "true")
    pytester.makeconftest(
        "from pathlib import Path\nfrom tests.support import tiers\nfrom tests.support.tiers import *\n"
        "tiers.TESTS = Path(__file__).parent\n"
    )
    pytester.makepyfile(LISTED)
    ended = pytester.runpytest_subprocess("-n", workers)
    ended.stdout.fnmatch_lines(
        ["*NOT RUN*", "*1 need strace: apt-get install strace", "*1 passed*"]
    )
    assert ended.ret == int(ci)
