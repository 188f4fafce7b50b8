"""Takes marked stretches out of a text, such as comments. Pure.

One pass, whatever the text is: an expression that looks for an end anew from each beginning takes a time
that grows with the square of a text that is made for it.
"""


def without(text: str, begin: str, end: str) -> str:
    """`text` without what stands from `begin` to `end`, both included; one that has no end takes the rest."""
    kept, at = [], 0
    while (start := text.find(begin, at)) >= 0:
        kept.append(text[at:start])
        close = text.find(end, start)
        if close < 0:
            return "".join(kept)
        at = close + len(end)
    return "".join([*kept, text[at:]]) if kept else text
