"""Defines the content of a mail, rendered once and frozen. Never holds a reader's data or encoded bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """The frozen content of an edition or a notice, as `models.FrozenContent` stores it.

    Attributes:
        language: such as "hy".
        from_name: the publication's name.
        from_address: of the newsletter.
        reply_to: an address that a person reads, or None if that is `from_address`.
        subject: one line; may hold reader fields.
        html: a whole document; reader fields are escaped when they are filled in.
        text: the same in plain text, with any line ends.
        marker: begins the words that stand for reader fields, see `mailer.message.reader_fields`.
    """

    language: str
    from_name: str
    from_address: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    marker: str
