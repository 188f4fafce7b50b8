"""Numbers with their nouns, for the people who run the mailer: what commands and logs say, in English.

What readers get goes through the catalogues instead, which know the plurals of each language.
"""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`number` before the words that fit it: "1 mail", "2 mails", "1 entry is held".

    Args:
        one: what stands behind 1.
        many: what stands behind any other number; without it `one` with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
