"""No regular expression of ours takes longer than in proportion to a text, whoever wrote the text.

All of them are collected from the code, so that a new one cannot be forgotten. From what a pattern looks for,
texts are made that come close to it again and again without being it.
"""

import ast
import importlib
import itertools
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import mailer

LENGTH, TIMES = 24_000, 8
GENEROUS = 24
"""In proportion it is 8, and with the square of the length 64."""
FLOOR_SECONDS = 0.001
TOO_LONG_SECONDS = 0.5
MOST_PUMPS = 10

OURS = ("mailer.__main__", "mailer.demo", "mailer.settings")
"""What no stranger's text comes to."""

USES = {
    "match": "fullmatch",
    "fullmatch": "fullmatch",
    **dict.fromkeys(("search", "sub", "subn", "findall", "finditer", "split"), "sub"),
}
"""How a pattern is used, and what tells how long that takes."""

SAMPLES = "aA0 .-_@<>\"'&;:/=%()[]{}!\n\té中"


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(mailer.__path__, "mailer."):
        if not found.name.startswith(OURS):
            yield importlib.import_module(found.name)


def inside(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from inside([*value.keys(), *value.values()])
    elif isinstance(value, tuple | list):
        for part in value:
            yield from inside(part)


def collected() -> dict[str, tuple[re.Pattern[Any], set[str]]]:
    """Each pattern by where it stands, and how it is used."""
    every: dict[str, tuple[re.Pattern[Any], set[str]]] = {}
    for module in modules():
        source = Path(module.__file__).read_text()
        for name, value in vars(module).items():
            for number, pattern in enumerate(inside(value)):
                called = re.findall(rf"\b{re.escape(name)}\.(\w+)\(", source)
                # Handed to others, it is searched for.
                uses = {USES[use] for use in called if use in USES} or {"sub"}
                every[f"{module.__name__}.{name}.{number}"] = (pattern, uses)
        for node in ast.walk(ast.parse(source)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            use = node.func
            if not (isinstance(use.value, ast.Name) and use.value.id == "re" and use.attr in USES):
                continue
            if isinstance(node.args[0], ast.Constant):
                pattern = re.compile(node.args[0].value)
                every[f"{module.__name__}:{node.lineno}"] = (pattern, {USES[use.attr]})
    return every


PATTERNS = collected()


def samples(item: Any, flags: int) -> list[str]:
    """A few short texts that a part of a pattern matches, or empty where it is about no letters."""
    kind, value = item
    if kind is sre.LITERAL:
        return [chr(value)]
    if kind in (sre.NOT_LITERAL, sre.IN, sre.ANY, sre.CATEGORY):
        return [letter for letter in [*SAMPLES, *letters(value)] if takes(item, letter, flags)][:4]
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return [text * max(1, value[0]) for text in joined(value[2], flags)]
    if kind is sre.SUBPATTERN:
        return joined(value[3], flags)
    if kind is sre.ATOMIC_GROUP:
        return joined(value, flags)
    if kind is sre.BRANCH:
        return [joined(branch, flags)[0] for branch in value[1]][:8]
    return [""]


def letters(value: Any) -> list[str]:
    """What a set of letters names itself."""
    found = []
    for kind, part in value if isinstance(value, list) else ():
        if kind is sre.LITERAL:
            found.append(chr(part))
        elif kind is sre.RANGE:
            found.append(chr(part[0]))
    return found


def takes(item: Any, letter: str, flags: int) -> bool:
    state = parser.State()
    state.flags = flags
    state.str = "x"
    alone = parser.SubPattern(state, [item])
    try:
        return re._compiler.compile(alone, flags).match(letter) is not None  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return False


def joined(items: Any, flags: int) -> list[str]:
    """A few texts that these parts match one after the other: the plainest, then one part otherwise."""
    parts = [samples(item, flags) or [""] for item in items]
    plain = [choices[0] for choices in parts]
    others = [
        "".join([*plain[:at], other, *plain[at + 1 :]])
        for at, choices in enumerate(parts)
        for other in choices[1:]
    ]
    return ["".join(plain), *others][:8]


def repeats(items: Any, before: str, flags: int) -> Iterator[tuple[str, str]]:
    """What stands before each repetition of a pattern, and what it repeats."""
    for item in items:
        kind, value = item
        inner: list[Any] = []
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            if value[1] is sre.MAXREPEAT or value[1] > 100:
                for text in joined(value[2], flags):
                    yield before, text
            inner = [value[2]]
        elif kind is sre.SUBPATTERN:
            inner = [value[3]]
        elif kind is sre.ATOMIC_GROUP:
            inner = [value]
        elif kind is sre.BRANCH:
            inner = value[1]
        for part in inner:
            yield from repeats(part, before, flags)
        before += (samples(item, flags) or [""])[0]


def attacks(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Long texts: a beginning, what is repeated behind it, and an end that keeps it from matching."""
    text = pattern.pattern
    flags = pattern.flags & ~re.UNICODE if isinstance(text, bytes) else pattern.flags
    tree = parser.parse(text, flags)
    found = list(repeats(tree, "", flags))
    alone = [pump for _, pump in found] + [before + pump for before, pump in found]
    pairs = [one + other for one, other in itertools.permutations(dict.fromkeys(alone), 2)]
    pumps = dict.fromkeys([*alone[:MOST_PUMPS], *joined(tree, flags), *pairs[:MOST_PUMPS]])
    befores = list(dict.fromkeys(["", *(before for before, _ in found)]))[:3]
    for pump, before, end in itertools.product(filter(None, pumps), befores, ("", "\0!")):
        yield before + pump * (LENGTH // len(pump)) + end


def cpu_seconds(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


@contextmanager
def no_longer(seconds: float) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)


def seconds(pattern: re.Pattern[Any], use: str, text: str) -> float:
    given: Any = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
    replaced: Any = type(given)()
    # To replace all is to search again and again.
    act = (
        (lambda: pattern.sub(replaced, given)) if use == "sub" else lambda: pattern.fullmatch(given)
    )
    with no_longer(TOO_LONG_SECONDS):
        return cpu_seconds(act)


def growth(pattern: re.Pattern[Any], use: str, text: str) -> float:
    """How many times as long a text takes as its eighth part."""
    try:
        long = seconds(pattern, use, text)
        if long <= GENEROUS * FLOOR_SECONDS:
            return 0.0
        part = text[: len(text) // TIMES] + text[-2:]
        return long / max(seconds(pattern, use, part), FLOOR_SECONDS)
    except TimeoutError:
        return float("inf")


def slow(pattern: re.Pattern[Any], use: str) -> str | None:
    """A text for which the pattern takes longer than in proportion, or None."""
    for text in attacks(pattern):
        # What else the machine does may spoil one measurement, but not three.
        if all(growth(pattern, use, text) > GENEROUS for _ in range(3)):
            return text
    return None


@pytest.mark.parametrize("where", PATTERNS)
def test_no_pattern_takes_longer_than_in_proportion(where: str) -> None:
    pattern, uses = PATTERNS[where]
    for use in sorted(uses):
        text = slow(pattern, use)
        assert text is None, (pattern.pattern, use, text and (text[:100], text[-10:]))


@pytest.mark.parametrize(
    ("pattern", "use"),
    [(r"(?:(?:<\?[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*>)\s*)*", "fullmatch"), (rb"[ \t]*y", "sub")],
)
def test_a_pattern_that_does_is_noticed(pattern: Any, use: str) -> None:
    assert slow(re.compile(pattern, re.DOTALL), use)


def test_patterns_are_found_in_all_of_the_code() -> None:
    assert len({where.split(".")[1] for where in PATTERNS}) > 8
    assert {use for _, uses in PATTERNS.values() for use in uses} == {"fullmatch", "sub"}
