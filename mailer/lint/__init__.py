"""Judges the bytes of any mail by the rules for good mail. Pure. Never shares code with the composer."""

from mailer.lint.headers import judge_headers
from mailer.lint.html_page import judge_html
from mailer.lint.lines import judge_lines
from mailer.lint.list_headers import judge_list_headers
from mailer.lint.parse import parse_mail
from mailer.lint.parts import judge_parts
from mailer.lint.rules import RULES, Problem

__all__ = ["RULES", "Problem", "judge"]


def judge(raw: bytes) -> tuple[Problem, ...]:
    """List what is wrong with the mail in `raw`, each problem once.

    The rules for digests hold for a mail with X-Mailer-Digest or any other header of bulk mail. Otherwise a
    digest without List-Unsubscribe would be taken for a notice.
    """
    mail = parse_mail(raw)
    problems = [
        *judge_lines(raw, mail),
        *judge_headers(mail),
        *judge_list_headers(mail),
        *judge_parts(mail),
        *judge_html(mail),
    ]
    return tuple(dict.fromkeys(problems))
