"""Legacy completions: the same answers, as `text`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm_service.sandbox.answer import Choice
from llm_service.sandbox.content.logprobs import text_logprobs
from llm_service.sandbox.dialects.shape import ChunkShape
from llm_service.sandbox.messages import Json


class TextMixin(ChunkShape):
    """Makes a shape of chat chunks one of text chunks: one object name for both forms, no roles, no thoughts."""

    whole_object = "text_completion"
    chunk_object = "text_completion"

    def openings(self, choice: Choice) -> Iterable[Json]:
        if not self.ask.body.get("echo"):
            return ()
        return [{"content": self._prompt(choice)}]

    def reasoning_delta(self, text: str) -> Json | None:
        return None

    def increment(self, index: int, delta: Json) -> Json:
        return {"index": index, "text": delta.get("content") or ""}

    def whole_choice(self, choice: Choice) -> Json:
        echoed = self._prompt(choice) if self.ask.body.get("echo") else ""
        written = {"index": choice.index, "text": echoed + "".join(choice.content)}
        return self._finished(written, choice.finish, self.logprobs(choice.content))

    def logprobs(self, tokens: Iterable[str]) -> Any:
        return None if self.ask.logprobs is None else text_logprobs(list(tokens), self.ask.logprobs)

    def _prompt(self, choice: Choice) -> str:
        return self.ask.prompts[choice.index // self.ask.n]
