"""The browser that all tests of this folder look at pages with."""

import shutil
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

FOREVER = 3_600_000
"""Milliseconds."""

P = ParamSpec("P")
T = TypeVar("T", BrowserContext, Page)


def _patient(make: Callable[P, T]) -> Callable[P, T]:
    def made(*arguments: P.args, **options: P.kwargs) -> T:
        found = make(*arguments, **options)
        found.set_default_timeout(FOREVER)
        return found

    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        # What hangs is for pytest-timeout, and how long a page takes is no matter here.
        expect.set_options(timeout=FOREVER)
        found.new_context = _patient(found.new_context)  # type: ignore[method-assign]
        found.new_page = _patient(found.new_page)  # type: ignore[method-assign]
        yield found
        found.close()
