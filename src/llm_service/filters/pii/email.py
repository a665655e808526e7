"""E-mail addresses (RFC 5321, as they are used): no quoted local parts, no addresses without a dot in the domain."""

import re
from typing import Final

from llm_service.filters.pii.kind import Kind, Span

# Letters of scripts that put blanks between words may be part of an address (RFC 6531); Han, kana and Thai stand next
# to one without a blank.
_LETTER: Final = "0-9A-Za-z\u00c0-\u05ff"
_LOCAL_RUN: Final = re.compile(rf"[{_LETTER}._%+'\-]*")
_DOMAIN_RUN: Final = re.compile(rf"[{_LETTER}.\-]*")

_FILES: Final = frozenset("css gif html ico jpeg jpg js json png svg webp".split())  # icon@2x.png

_LONGEST: Final = 62
"""Characters of a find: of a longer address these are the last."""
_LONGEST_DOMAIN: Final = 60

# A letter of another script is a question mark where patterns look.
PATTERN: Final = r"[0-9A-Za-z?_%+'-]@[0-9A-Za-z?][0-9A-Za-z?-]{0,57}\.[0-9A-Za-z?]"


def email(text: str, begin: int, _end: int) -> Span | None:
    at = begin + 1
    run = _DOMAIN_RUN.match(text, at + 1, at + 2 + _LONGEST_DOMAIN)
    domain = run.group() if run else ""
    if len(domain) > _LONGEST_DOMAIN or not (length := _domain_length(domain)):
        return None
    if text.startswith("git@", at - 3) and text.startswith(":", at + 1 + length):
        return None  # git@host:path is where a repository lies
    earliest = max(0, at + 1 + len(domain) - _LONGEST)
    local = _local_before(text, at, earliest)
    return (at - len(local), at + 1 + length) if local else None


def _local_before(text: str, at: int, earliest: int) -> str:
    run = _LOCAL_RUN.match(text[earliest:at][::-1])
    return run.group()[::-1].lstrip(".'-") if run else ""


def _domain_length(domain: str) -> int:
    """Of what may be one, as many characters as are one: up to the last label that can be a top-level domain."""
    labels = domain.split(".")
    good = 0
    while good < len(labels) and (label := labels[good]) and label[0] != "-":
        if label[-1] == "-":
            labels[good] = label.rstrip("-")
            good += 1
            break
        good += 1
    labels = labels[:good]
    while len(labels) > 1 and not _is_top(labels[-1]):
        labels.pop()
    return len(".".join(labels)) if len(labels) > 1 else 0


def _is_top(label: str) -> bool:
    if label in _FILES:
        return False
    return (len(label) > 1 and label.isalpha()) or (label.startswith("xn--") and len(label) > 4)


def email_open_from(text: str) -> int:
    """Where in ``text``, the end of a longer one, an address may have begun that is not over yet."""
    begin = len(text) - len(_local_run(text))
    if text[begin - 1 : begin] == "@" and _DOMAIN_RUN.fullmatch(text, begin):
        return begin - 1 - len(_local_run(text[: begin - 1]))
    return begin


def _local_run(text: str) -> str:
    run = _LOCAL_RUN.match(text[::-1])
    return run.group() if run else ""


EMAIL: Final = Kind(label="email", pattern=PATTERN, check=email, within=True)
