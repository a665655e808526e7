"""What a field of an options class says about itself, so that messages, JSON Schema and docs come from one place.

port: Annotated[int, Bounds(at_least=0, at_most=65535), Doc("Port to listen on.")] = 8080
"""

import re
from collections.abc import Mapping, Sized
from decimal import Decimal
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from llm_service.domain.fact import fact, fact_in_order


@fact_in_order
class Doc:
    """What the setting means, in a sentence or two."""

    text: str


@fact_in_order
class Called:
    """The setting's name where it cannot be the field's: a word of Python's."""

    name: str


@fact_in_order
class Confidential:
    """The values may hold secrets (headers do): they are masked wherever settings are shown."""


@fact_in_order
class OrSingle:
    """A single value may stand where the list is expected: a list of it alone."""


@fact_in_order
class Reserved:
    """A word that a later version may accept here."""

    word: str


class Rule(Protocol):
    """What a value must fulfil beyond its type. A message never repeats the value: it may be a secret."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with the value, as the end of a sentence that begins with its name."""

    def json_schema(self) -> Mapping[str, object]:
        """The same in the words of JSON Schema, as far as they reach."""


@fact
class Bounds:
    """Bounds of a number, in the unit that its name says."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None

    def problem(self, value: float | Decimal) -> str | None:
        if self.at_least is not None and value < self.at_least:
            return f"must be at least {self.at_least}"
        if self.above is not None and value <= self.above:
            return f"must be above {self.above}"
        if self.at_most is not None and value > self.at_most:
            return f"must be at most {self.at_most}"
        return None

    def json_schema(self) -> Mapping[str, object]:
        words = {"minimum": self.at_least, "exclusiveMinimum": self.above, "maximum": self.at_most}
        return {word: bound for word, bound in words.items() if bound is not None}


@fact
class Places:
    """An exact amount with a few digits after the point: more would be rounded away."""

    at_most: int

    def problem(self, value: Decimal) -> str | None:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and -exponent <= self.at_most:
            return None
        return f"must be a decimal number such as 12.50, with at most {self.at_most} digits after the point"

    def json_schema(self) -> Mapping[str, object]:
        return {}


@fact_in_order
class NotEmpty:
    """At least one item in a list."""

    def problem(self, value: Sized) -> str | None:
        return None if len(value) else "must have at least one item"

    def json_schema(self) -> Mapping[str, object]:
        return {"minItems": 1}


@fact_in_order
class Pattern:
    """A text that matches a regular expression as a whole; `means` describes it to a human."""

    regex: str
    means: str

    def problem(self, value: str) -> str | None:
        return None if re.fullmatch(self.regex, value, re.ASCII) else f"must be {self.means}"

    def json_schema(self) -> Mapping[str, object]:
        return {"pattern": f"^(?:{self.regex})$"}


@fact_in_order
class HeaderSafe:
    """A credential that travels in a header: visible ASCII, no blank."""

    def problem(self, value: str) -> str | None:
        if re.fullmatch(r"[!-~]+", value):
            return None
        return "must be visible ASCII characters without blanks or line ends (was it copied with some?)"

    def json_schema(self) -> Mapping[str, object]:
        return {}


_HEADER_NAME: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, section 5.6.2
_OWN_HEADERS: Final = frozenset(
    (
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_NO_URL: Final = "must be an http:// or https:// address"
HEADER_VALUE: Final = Pattern(r"[!-~](?:[\t -~]*[!-~])?", "visible ASCII characters, without a line end")


@fact
class HttpUrl:
    """An absolute http or https address. ``credentials``, ``query``: where these belong instead, as the end of a
    sentence; ``query`` is ``None`` where one may be given."""

    credentials: str
    query: str | None = None

    def problem(self, value: str) -> str | None:
        if not re.fullmatch(r"[!-~]+", value) or "\\" in value:
            return "must be an address of printable ASCII characters without blanks"
        try:
            parts = urlsplit(value)
            reachable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return _NO_URL
        if not reachable:
            return _NO_URL
        if "@" in parts.netloc:
            return f"must not carry credentials: {self.credentials}"
        if self.query is None:
            return "must not carry a fragment" if "#" in value else None
        return f"must not carry a query or a fragment: {self.query}" if "?" in value or "#" in value else None

    def json_schema(self) -> Mapping[str, object]:
        rest = "([/?][^#]*)?" if self.query is None else "(/[^?#]*)?"
        return {"format": "uri", "pattern": f"^https?://[^@/?#]+{rest}$"}


@fact_in_order
class HeaderName:
    """A header that an operator may add: none of those that carry the framing of a message."""

    def problem(self, value: str) -> str | None:
        if not re.fullmatch(_HEADER_NAME, value):
            return "must be a header name"
        if value.lower() in _OWN_HEADERS:
            return "is a header that the service sets itself"
        return None

    def json_schema(self) -> Mapping[str, object]:
        return {"pattern": f"^{_HEADER_NAME}$"}
