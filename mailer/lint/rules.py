"""Lists the rules that a mail is judged by: each has a name that never changes, and what it demands.

The other modules of this package judge. Every rule that they report must be listed here.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a mail: the rule that it breaks, and where."""

    rule: str
    detail: str


RULES: Final = {
    # The bytes.
    "bare-cr": "A carriage return comes only before a line feed (RFC 5321 2.3.8).",
    "bare-lf": "Lines end in CRLF (RFC 5321 2.3.8).",
    "nul": "There are no NUL bytes (RFC 5322 2.2).",
    "eight-bit": "All bytes are 7-bit (RFC 5322 2.2).",
    "control-character": "There are no control characters except tab and CRLF (RFC 5322 2.2).",
    "line-length": "A line has at most 998 octets (RFC 5322 2.1.1).",
    "header-line-length": "A header line has at most 78, except for one long word (RFC 5322 2.1.1).",
    # The headers every mail has.
    "header-syntax": "A header is a name, a colon and a value (RFC 5322 2.2).",
    "header-missing": "From, To, Subject, Date, Message-ID and MIME-Version are present (RFC 5322 3.6).",
    "header-repeated": "A header that may occur once does not occur twice (RFC 5322 3.6).",
    "copy-header": "There is no Cc and no Bcc: a mail goes to one person.",
    "header-control": "A decoded header contains no control characters (RFC 5322 2.2).",
    "one-mailbox": "From, To and Sender each hold one mailbox.",
    "address": "An address is dot-atom@domain in ASCII, the domain as A-labels (RFC 5321 4.1.2).",
    "display-name": "The sender's name is the publication's, without @ or pictographs.",
    "sender": "Sender is present only if it differs from From (RFC 5322 3.6.2).",
    "message-id": "Message-ID is <dot-atom@domain> (RFC 5322 3.6.4).",
    "date": "Date is a date as in RFC 5322 3.3, with the zone +0000.",
    "mime-version": "MIME-Version is 1.0 (RFC 2045 4).",
    "dkim-domain": "A DKIM signature is for From's domain.",
    # Encoded-words.
    "encoded-word-length": "An encoded-word has at most 75 characters (RFC 2047 2).",
    "encoded-word-line": "A line with an encoded-word has at most 76 characters (RFC 2047 2).",
    "encoded-word-broken": "An encoded-word decodes to whole characters (RFC 2047 5).",
    "encoded-word-place": "An encoded-word stands alone, not in a quoted-string or address (RFC 2047 5).",
    "encoded-word-header": "Structured headers such as List-Unsubscribe contain none (RFC 2047 5).",
    # The headers of digests, and of other mails.
    "list-id": "A digest has a List-Id, `phrase <label.domain>`, of at most 255 octets (RFC 2919).",
    "list-unsubscribe": "A digest has List-Unsubscribe: one https URL first, then at most one mailto.",
    "list-unsubscribe-post": "It has List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058 3.1).",
    "list-post": "List-Post is NO: readers cannot post (RFC 2369 3.4).",
    "list-url": "List headers hold <URL>s of ASCII, folded only between them (RFC 2369 2).",
    "auto-submitted": "Auto-Submitted is auto-generated; only a digest may omit it (RFC 3834 5).",
    "precedence": "Precedence is bulk or list.",
    "feedback-id": "Feedback-ID is a:b:c:sender, the sender of 5 to 15 characters.",
    # The parts.
    "mime-structure": "The parts can be separated (RFC 2046 5.1.1).",
    "alternative": "A mail is multipart/alternative, text/plain first, text/html last (RFC 2046 5.1.4).",
    "attachment": "There are no parts except the two texts.",
    "transfer-encoding": "A text is quoted-printable or base64, and declares it (RFC 2045 6).",
    "encoded-line": "An encoded line has at most 76 characters (RFC 2045 6.7, 6.8).",
    "encoding-broken": "Quoted-printable and base64 are valid (RFC 2045 6.7, 6.8).",
    "charset": "A text declares its charset, UTF-8 or US-ASCII, and matches it (RFC 2046 4.1.2).",
    "text-short": "The plain text says what the HTML says.",
    # The HTML.
    "html-size": "The HTML has at most 100,000 bytes.",
    "html-active": "No script, no frames, no plug-ins, no refresh.",
    "html-form": "No forms.",
    "css-external": "No external style sheets.",
    "css-inline": "Styles are inlined; a style element only adds to them.",
    "css-position": "No position in styles.",
    "data-uri": "No data: URIs.",
    "hidden-text": "Hidden text is a preheader of at most 150 characters.",
    "image": "An image has an absolute https URL, width, height and alt.",
    "image-only": "There is text beside the images.",
    "tracking-pixel": "No one-pixel images.",
    "link": "A link is absolute https, or mailto.",
    "link-text": "A link whose text looks like a URL goes to that host.",
}
