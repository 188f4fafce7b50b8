"""What a mail says, rendered once and frozen. Holds no reader's data and no bytes of the wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """The frozen content of an edition or a notice, as `models.FrozenContent` stores it.

    Attributes:
        language: such as "hy".
        from_name: the publication's name, and nothing else.
        from_address: of the newsletter.
        reply_to: an address that somebody reads, or None where that is `from_address`.
        subject: one line; may hold reader fields.
        html: a whole document; reader fields are escaped when they are filled in.
        text: the same in plain text, with whatever line ends.
        marker: begins the words that stand for reader fields, see `mailer.message.marker`.
    """

    language: str
    from_name: str
    from_address: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    marker: str
