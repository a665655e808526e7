"""The libraries of the extra ``jwt``: whether they are there, and the one way to what is made with them."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from llm_service.services.issuers.base import ReadKeys

PACKAGES: Final = ("jwt", "cryptography")
"""As they are imported; nothing of it is, unless an issuer is configured."""


def missing_packages() -> Sequence[str]:
    """Which of them are not installed; looked for, not imported."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def load_reader() -> ReadKeys:
    """What reads key sets. Raises ImportError where the extra is not installed."""
    from llm_service.services.issuers.key_set import read_key_set

    return read_key_set
