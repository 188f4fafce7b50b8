"""Parses a mail into headers and parts, as far as they can be recognised.

Tolerates every fault, so that one does not hide the next. Never uses code of the composer, whose faults it is
meant to find.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_EMPTY_LINE = re.compile(rb"(?:^|\r?\n)\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_NAME = re.compile(r"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]*)')
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Field:
    """A header: its name as written, and its value, in `lines` as written and unfolded."""

    name: str
    lines: tuple[str, ...]
    value: str

    @property
    def key(self) -> str:
        """The name by which it is looked up."""
        return self.name.lower()


@dataclass(slots=True, eq=False)
class Part:
    """A MIME part, or the whole mail.

    Attributes:
        stray: lines among the headers that belong to none.
        body: as written, encoded.
        children: the parts of a multipart.
        fault: why its parts cannot be separated, or None.
    """

    fields: list[Field]
    stray: list[str]
    body: bytes
    children: list["Part"] = field(default_factory=list)
    fault: str | None = None

    def get_all(self, *names: str) -> list[Field]:
        """Return the headers with one of these names, in lower case."""
        return [field for field in self.fields if field.key in names]

    def value(self, name: str) -> str | None:
        """Return the value of the first header with this name, in lower case."""
        return next((field.value for field in self.get_all(name)), None)

    @property
    def media_type(self) -> str:
        """The media type in lower case; text/plain if there is none (RFC 2045 section 5.2)."""
        return (self.value("content-type") or "text/plain").partition(";")[0].strip().lower()

    @property
    def encoding(self) -> str | None:
        """The content transfer encoding in lower case, or None."""
        value = self.value("content-transfer-encoding")
        return None if value is None else value.strip().lower()

    def parameter(self, name: str) -> str | None:
        """Return a parameter of Content-Type."""
        for key, value in _PARAMETER.findall(self.value("content-type") or ""):
            if key.lower() == name:
                return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        return None

    def leaves(self) -> Iterator["Part"]:
        """Return the parts that are not multiparts, in their order."""
        return (part for part in self.walk() if not part.children)

    def walk(self) -> Iterator["Part"]:
        """Return this part and all parts in it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def decoded(self) -> bytes:
        """Decode the body, as far as that is possible."""
        if self.encoding == "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", self.body)
            # A single letter at the end holds no byte.
            letters = letters[: -1 if len(letters) % 4 == 1 else None]
            return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
        return binascii.a2b_qp(self.body) if self.encoding == "quoted-printable" else self.body

    @property
    def text(self) -> str:
        """The decoded body as text."""
        return self.decoded().decode("utf-8", "replace")


def parse_mail(raw: bytes, depth: int = 0) -> Part:
    """Parse a mail, or a part of one."""
    end = _EMPTY_LINE.search(raw)
    head, body = (raw[: end.start()], raw[end.end() :]) if end else (raw, b"")
    fields, stray = _fields(head)
    part = Part(fields, stray, body)
    if part.media_type.startswith("multipart/"):
        _divide(part, depth)
    return part


def lines_of(data: bytes) -> list[bytes]:
    """Split `data` into lines, whether they end in CRLF or in a bare line feed."""
    return _LINE_END.split(data)


def _fields(head: bytes) -> tuple[list[Field], list[str]]:
    fields: list[Field] = []
    stray = []
    group: list[str] = []

    def close() -> None:
        if group and (match := _NAME.fullmatch(group[0])):
            value = match[2] + "".join(group[1:])
            fields.append(Field(match[1], tuple(group), value.strip()))
        else:
            stray.extend(group)
        group.clear()

    for line in lines_of(head) if head else []:
        # Latin-1 keeps each byte as one character, so that lengths are octets.
        text = line.decode("latin-1")
        if not text.startswith((" ", "\t")):
            close()
        group.append(text)
    close()
    return fields, stray


def _divide(part: Part, depth: int) -> None:
    boundary = part.parameter("boundary")
    if not boundary:
        part.fault = "the multipart names no boundary"
        return
    if depth >= _DEEPEST:
        part.fault = f"parts are nested more than {_DEEPEST} deep"
        return
    delimiter = re.compile(
        rb"(?:^|\r?\n)--" + re.escape(boundary.encode("latin-1")) + rb"(--)?[ \t]*(?=\r?\n|$)"
    )
    delimiters = list(delimiter.finditer(part.body))
    last = next((at for at, match in enumerate(delimiters) if match[1]), None)
    if not delimiters or last == 0:
        part.fault = "the boundary begins no part"
        return
    if last is None:
        part.fault = "the closing boundary is missing"
    ends = [match.start() for match in delimiters[1:]] + [len(part.body)]
    for match, end in zip(delimiters[:last], ends, strict=False):
        content = _LINE_END.sub(b"", part.body[match.end() : end], count=1)
        part.children.append(parse_mail(content, depth + 1))
