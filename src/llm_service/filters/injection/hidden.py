"""Text that people do not see and models read."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from typing import Final

_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{4,}")
_FLAG: Final = "\U0001f3f4"
HIDDEN_HINT: Final = r"[\x{E0020}-\x{E007E}]{4}|[\x{200B}-\x{200D}\x{2060}-\x{2064}\x{FEFF}]{16}"
"""Without which, in RE2's syntax, there are no hidden runs."""
_LONGEST_FLAG: Final = 8
_INVISIBLE_RUN: Final = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff]{16,}")
ENCODED: Final = r"[A-Za-z0-9+/]{24,}={0,2}"
"""How base64 of some length looks, in RE2's syntax."""
_LONGEST_RUN: Final = 4000


def hidden_runs(raw: str) -> Iterator[tuple[int, int, float]]:
    """Where characters stand that cannot be seen and carry a message, and how much that says: tag characters (but for
    flags, which are made of them) and long rows of zero-width ones."""
    for found in _TAGS.finditer(raw):
        if raw[found.start() - 1 : found.start()] != _FLAG or len(found[0]) > _LONGEST_FLAG:
            yield *found.span(), 0.85
    for found in _INVISIBLE_RUN.finditer(raw):
        yield *found.span(), 0.5


def decoded(run: str) -> str:
    """What stands in base64, as text; empty where it is none."""
    run = run[:_LONGEST_RUN].rstrip("=")
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return b64decode(run + "=" * (-len(run) % 4)).decode()
    except (Error, UnicodeDecodeError):
        return ""
