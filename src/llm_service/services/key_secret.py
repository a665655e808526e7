"""The form of an api key as its owner holds it: ``llms_<prefix>_<secret>``."""

import random
import re
from base64 import b32encode
from typing import Final

from llm_service.domain import Secret

ISSUED: Final = "llms_"
"""How issued keys begin."""
PREFIX_CHARS: Final = 12
_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 52  # base32 of 256 bits, without its padding
_FORM: Final = re.compile(rf"{ISSUED}([a-z2-7]{{{PREFIX_CHARS}}})_[a-z2-7]{{{_SECRET_CHARS}}}", re.ASCII)


def new_secret(source: random.Random) -> tuple[str, Secret]:
    """A new key's public prefix (60 bits, to find it by) and the whole key with its 256 random bits."""
    prefix = _text(source.randbytes(8))[:PREFIX_CHARS]
    return prefix, Secret(f"{ISSUED}{prefix}_{_text(source.randbytes(_SECRET_BYTES))}")


def prefix_of(presented: str) -> str | None:
    """The prefix of a presented key, ``None`` where it has not the form of one."""
    found = _FORM.fullmatch(presented)
    return found[1] if found else None


def _text(raw: bytes) -> str:
    """Base32 (RFC 4648) in small letters, without padding: no character that a shell or an address would change."""
    return b32encode(raw).decode().rstrip("=").lower()
