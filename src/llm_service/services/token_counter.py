"""Counts the tokens of whole requests and of texts, by the vocabulary of the model that is called."""

import asyncio
from typing import Final

from llm_service.domain import Candidate, ModelRequest
from llm_service.tokens import PromptSize, Tokenizers

MOST_INLINE_BYTES: Final = 32 * 1024
"""A longer prompt is counted in a thread, so that no other request waits for it."""


class TokenCounter:
    """What admission and accounting count with: exact for known vocabularies, rather too many than too few else."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self._tokenizers = tokenizers

    def ready(self, model: str) -> None:
        """Load what counting for this model takes, where that has not been done: here, though it takes up to a second.

        Vocabularies of OpenAI hold the interpreter while they load, in whichever thread. That of DeepSeek must not be
        loaded in a second one: the process crashes (kitoken 0.11.1).
        """
        self._tokenizers.load((model,))

    async def count_prompt(self, request: ModelRequest, candidate: Candidate) -> int:
        """Tokens of a request's prompt, off the event loop where it is long."""
        self.ready(candidate.upstream_model)
        if request.body_bytes > MOST_INLINE_BYTES:
            return await asyncio.to_thread(self.prompt, candidate.upstream_model, request)
        return self.prompt(candidate.upstream_model, request)

    async def size_prompt(self, request: ModelRequest, candidate: Candidate, up_to: int) -> PromptSize:
        """What the prompt surely has, and about; off the event loop where it is long. ``up_to``: see there."""
        model = candidate.upstream_model
        self.ready(model)
        if request.body_bytes > MOST_INLINE_BYTES:
            return await asyncio.to_thread(self._tokenizers.size_prompt, model, request, up_to=up_to)
        return self._tokenizers.size_prompt(model, request, up_to=up_to)

    def text(self, model: str, text: str) -> int:
        """Tokens of a text."""
        return self._tokenizers.count_text(model, text).tokens

    def prompt(self, model: str, request: ModelRequest) -> int:
        """Tokens of a request's prompt."""
        return self._tokenizers.count_input(model, request).tokens
