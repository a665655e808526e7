import json
from pathlib import Path

import pytest

from llm_service.tokens import Tokenizers, TokenizerUnavailable


def refuse(fault: TokenizerUnavailable) -> None:
    raise fault


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    """Real vocabularies, each loaded once; a fallback fails the test."""
    return Tokenizers(on_fallback=refuse)


@pytest.fixture(scope="session")
def golden() -> list[dict]:
    """Own texts with the counts that the reference implementations give; how they were made stands in the file."""
    return json.loads(Path(__file__).with_name("golden.json").read_text("utf-8"))["texts"]
