"""What providers are called in the result: short names that tell them apart in answers, records and metrics."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

_SAY_NOTHING: Final = frozenset("www api inference gateway llm v1 host".split())
_OF_VARIABLES: Final = frozenset("api base url endpoint host".split())
_LOCAL: Final = re.compile(r"localhost|0\.0\.0\.0|127\.[0-9.]+|::1")
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)")


def can_be_named(model: str) -> bool:
    """Whether a model can have this name in settings: no blanks, ASCII, and nothing that refers to a variable."""
    return re.fullmatch(r"[!-~]{1,256}", model) is not None and "${" not in model


def slug(text: str) -> str:
    """Letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")


def label_of(base_url: str) -> str:
    """A server after its address: the first label of its host that says something, or the variable that has it."""
    if (variable := _REFERENCE.match(base_url)) is not None:
        return "-".join(word for word in slug(variable[1]).split("-") if word not in _OF_VARIABLES)
    host = urlsplit(base_url).hostname or ""
    if _LOCAL.fullmatch(host):
        return "local"
    if _ADDRESS.fullmatch(host):
        return f"at-{slug(host)}"
    return next((slug(label) for label in host.split(".") if label not in _SAY_NOTHING), slug(host))


def free_name(candidates: Iterable[str], taken: Iterable[str]) -> str:
    """The first candidate that is free, the last one with a number where none is."""
    used = frozenset(taken)
    return next(name for name in _endless(candidates) if name and name not in used)


def _endless(candidates: Iterable[str]) -> Iterator[str]:
    last = "provider"
    for last in candidates:
        yield last
    number = 2
    while True:
        yield f"{last}-{number}"
        number += 1
