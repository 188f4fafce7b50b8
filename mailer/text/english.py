"""Words for the people who run the mailer, in English: numbers with their nouns, commands to type.

What readers get goes through the catalogues instead, which know the plurals of each language.
"""

import shlex


def pluralise(number: int, one: str, many: str | None = None) -> str:
    """`number` before the words that fit it: "1 mail", "2 mails", "1 entry is held".

    Args:
        one: what stands behind 1.
        many: what stands behind any other number; without it `one` with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def command(*arguments: str) -> str:
    """Write a `mailer` command so that it can be pasted into a shell, whatever its arguments hold.

    An address on the web or of a person is a stranger's text, and may hold what a shell would run.

    Args:
        arguments: the words after `mailer`, unquoted.
    """
    return shlex.join(("mailer", *arguments))
