"""Judges mails by the rules that bytes can break, whoever made them. Shares no code with the composer."""

from mailer.lint.fields import judge_fields
from mailer.lint.lines import judge_lines
from mailer.lint.lists import judge_lists
from mailer.lint.page import judge_page
from mailer.lint.parts import judge_parts
from mailer.lint.reading import read
from mailer.lint.rules import RULES, Problem

__all__ = ["RULES", "Problem", "judge"]


def judge(raw: bytes) -> tuple[Problem, ...]:
    """What is wrong with the mail in `raw`, each problem once; nothing where it is good.

    Rules for digests hold for a mail that has X-Mailer-Digest, or another header that only bulk mail
    has: without that, a missing List-Unsubscribe would make a digest a notice.
    """
    mail = read(raw)
    found = [
        *judge_lines(raw, mail),
        *judge_fields(mail),
        *judge_lists(mail),
        *judge_parts(mail),
        *judge_page(mail),
    ]
    return tuple(dict.fromkeys(found))
