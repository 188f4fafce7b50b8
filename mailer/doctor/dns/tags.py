"""Parses lists of tags such as `v=DMARC1; p=none`, as DKIM and DMARC write them (RFC 6376 section 3.2). Pure.

Never judges what they say.
"""


def parse_tags(text: str) -> dict[str, str] | None:
    """Return the value of each tag, by its name in lower case; None if it is no such list.

    Of a tag that stands in it twice the first counts.
    """
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        key = name.strip().lower()
        if not equals or not key or not key.replace("_", "a").isalnum() or not key.isascii():
            return None
        tags.setdefault(key, value.strip())
    return tags
