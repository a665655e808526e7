"""The tokenizer port: what every counter offers, and what a count says about itself."""

from collections.abc import Sequence
from typing import Protocol

from llm_service.domain import fact


class Tokenizer(Protocol):
    """Counts the tokens of a text. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """The vocabulary (``o200k_base``), or ``estimate``."""

    @property
    def exact(self) -> bool:
        """True if a model of this family sees exactly as many tokens for the same text."""

    def count(self, text: str) -> int:
        """Tokens of ``text``, in which a special token counts as the text it is, and a lone surrogate as U+FFFD."""

    def count_all(self, texts: Sequence[str]) -> int:
        """The sum over ``texts``, each counted by itself; cheaper than a call for each."""


@fact
class TokenCount:
    """``estimated`` unless the provider must find the same number; ``tokenizer`` names who counted."""

    tokens: int
    estimated: bool
    tokenizer: str


class TokenizerUnavailable(Exception):
    """The vocabulary of ``family`` cannot be loaded, or counts wrongly; its cause is chained."""

    def __init__(self, family: str, reason: str) -> None:
        super().__init__(f"no exact token counts for {family}: {reason}")
        self.family = family
        self.reason = reason


def well_formed(text: str) -> str:
    """``text`` with paired surrogates joined and lone ones replaced by U+FFFD, so that it has a UTF-8 form."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
