"""What stands in a text in place of what was masked, and how that is put back."""

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_NUMBERED: Final = re.compile(r"\[[A-Z0-9_]{1,64}_[0-9]{1,9}\]")
_NO_NAME: Final = re.compile(r"[^A-Z0-9]+")


class Placeholder(NamedTuple):
    """A placeholder in a text, and what it stands for."""

    begin: int
    end: int
    original: str


class Masks:
    """The placeholders of one request. They hold what must not be seen: nothing of it is printed.

    ``prompt``: all texts of the request, in which placeholders may stand already that are somebody else's; their
    numbers are not used, so that nothing is put in their place.
    """

    __slots__ = ("_longest", "_numbers", "_originals", "_prompt", "_taken")

    def __init__(self, prompt: str = "") -> None:
        self._prompt = prompt
        self._taken: frozenset[str] | None = None
        self._numbers: dict[str, dict[str, str]] = {}
        self._originals: dict[str, str] = {}
        self._longest = 0

    def __bool__(self) -> bool:
        """Whether there is anything to be put back."""
        return bool(self._originals)

    def __repr__(self) -> str:
        return f"Masks({len(self._originals)})"

    def placeholder(self, label: str, original: str | None = None) -> str:
        """``[EMAIL]``; or ``[EMAIL_1]`` for an original that is to be put back: for the same one always the same."""
        if original is None:
            return plain_placeholder(label)
        name = _name(label)
        known = self._numbers.setdefault(name, {})
        made = known.get(original)
        if made is None:
            made = known[original] = self._free(name)
            self._originals[made] = original
            self._longest = max(self._longest, len(made))
        return made

    def placed(self, text: str) -> Iterator[Placeholder]:
        """The placeholders in a text that stand for something, in their order."""
        for found in _NUMBERED.finditer(text) if self._originals else ():
            original = self._originals.get(found[0])
            if original is not None:
                yield Placeholder(found.start(), found.end(), original)

    def restore(self, text: str) -> str:
        """The text with everything that placeholders stand for."""
        originals = self._originals
        return _NUMBERED.sub(lambda found: originals.get(found[0], found[0]), text) if originals else text

    def conceal(self, text: str) -> str:
        """The text with placeholders for what they stand for, also where that is written as JSON."""
        for made, original in sorted(self._originals.items(), key=lambda one: len(one[1]), reverse=True):
            for written in {original, json.dumps(original, ensure_ascii=False)[1:-1]}:
                text = text.replace(written, made)
        return text

    def open_from(self, text: str) -> int:
        """Where the beginning of a placeholder stands at the end of a text that grows; ``len(text)``: nowhere."""
        begin = text.rfind("[", -self._longest) if self._originals else -1
        if begin < 0:
            return len(text)
        tail = text[begin:]
        return begin if any(made.startswith(tail) and made != tail for made in self._originals) else len(text)

    def _free(self, name: str) -> str:
        """The next placeholder of a name that the prompt does not contain by itself."""
        if self._taken is None:
            self._taken = frozenset(_NUMBERED.findall(self._prompt))
            self._prompt = ""
        number = len(self._numbers[name]) + 1
        while (made := f"[{name}_{number}]") in self._taken or made in self._originals:
            number += 1
        return made


def plain_placeholder(label: str) -> str:
    """One that stands for nothing in particular."""
    return f"[{_name(label)}]"


def _name(label: str) -> str:
    return _NO_NAME.sub("_", label.upper()).strip("_")[:64]
