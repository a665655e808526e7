"""A credential that never shows itself: everything but `reveal()` gives `***`."""

import hmac
from typing import NoReturn

MASK = "***"


class Secret:
    """A non-empty secret text; printing, formatting, copying to JSON by `str` and pickling give `***`.

    It is no dataclass, because `dataclasses.asdict` would open it. Raises ValueError when it is empty.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("a secret must not be empty")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The secret itself: for the one place that sends or compares it."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __eq__(self, other: object) -> bool:
        """Compared in constant time, so that the time of an answer tells nothing about the secret."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._text), _as_bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))  # salted per process, as every hash of a text is

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return (str, (MASK,))  # what is unpickled has no `reveal`, so it fails loudly where it is used

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret does not change")


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
