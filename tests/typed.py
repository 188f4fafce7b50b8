"""Commands that are typed in the tests' own process, and what a newsletter is added with."""

from collections.abc import Callable

Ask = Callable[..., tuple[int, str, str]]
"""Types a command: its exit status, stdout and stderr."""

NEWSLETTER = ("newsletter", "add", "daily", "--title", "The Daily", "--from",
              "The Daily <daily@news.example>", "--postal-address", "1 Sample Street")  # fmt: skip
