"""What the chunks and whole answers of all dialects have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import orjson

from llm_service.sandbox.answer import Answer, CallPieces, Choice, Counts
from llm_service.sandbox.ask import Ask
from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.content.logprobs import chat_logprobs
from llm_service.sandbox.messages import Json
from llm_service.sandbox.stream import Delta, Part, Placement, Usage
from llm_service.sandbox.usage import bent_usage


class ChunkShape(ABC):
    """Base of the dialects' shapes. A subclass says what a delta, a message and the figures look like."""

    placement = Placement.EMPTY_CHOICES
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"
    shows_logprobs = True  # the key is there even when nobody asked
    indexes_whole_calls = True  # tool calls carry an index in whole answers too

    def __init__(self, *, ask: Ask, answer: Answer, behaviour: Behaviour, base: Json) -> None:
        self.ask = ask
        self.counts = answer.counts
        self.behaviour = behaviour
        self.base = {**base, "object": self.chunk_object}
        self.null_before = False

    @abstractmethod
    def call_id(self, place: int) -> str:
        """The id of a tool call."""

    # For the stream.

    def openings(self, choice: Choice) -> Iterable[Json]:
        """Deltas before anything was generated."""
        return ()

    def delta(self, delta: Delta) -> Json | None:
        """The delta object of one increment; None sends nothing."""
        if delta.part is Part.REASONING:
            return self.reasoning_delta(delta.text)
        if delta.part is Part.CONTENT:
            return self.content_delta(delta.text)
        if delta.part is Part.THOUGHT_END:
            return self.thought_end_delta()
        return self.tool_delta(self._call_fragment(delta))

    @abstractmethod
    def reasoning_delta(self, text: str) -> Json | None:
        """A piece of thought."""

    def content_delta(self, text: str) -> Json:
        """A piece of text."""
        return {"content": text}

    def thought_end_delta(self) -> Json | None:
        """What stands between the thoughts and the answer."""
        return None

    def tool_delta(self, fragment: Json) -> Json:
        """A piece of a tool call."""
        return {"tool_calls": [fragment]}

    def finish_delta(self, choice: Choice) -> Json:
        """The delta beside a finish reason."""
        return {}

    def chunk(
        self, *, choice: int | None, delta: Json, finish: str | None, usage: Json | Usage, text: str | None = None
    ) -> bytes:
        """A whole chunk; no choice means an empty list of choices, `text` is what logprobs are about."""
        choices = [] if choice is None else [self._choice(choice, delta, finish, text)]
        chunk = {**self.base, "choices": choices}
        if self.behaviour.on("obfuscation"):
            chunk["obfuscation"] = _padding(delta)
        return orjson.dumps(self.with_usage(chunk, usage))

    def usage(self, output_tokens: int) -> Json | Usage:
        """The figures, as far as the answer has come."""
        return bent_usage(self.figures(self.counted(output_tokens)), self.behaviour)

    def counted(self, output_tokens: int) -> Counts:
        """The counts when so many tokens are out; thoughts come first."""
        counts = self.counts
        return Counts(counts.input, counts.cached, output_tokens, min(counts.reasoning, output_tokens))

    @abstractmethod
    def figures(self, counts: Counts) -> Json:
        """The usage object."""

    # For whole answers.

    def whole(self, answer: Answer) -> Json:
        """The whole answer."""
        choices = [self.whole_choice(choice) for choice in answer.choices]
        body = {**self.base, "object": self.whole_object, "choices": choices}
        return self.with_usage(body, self.usage(answer.counts.output))

    def whole_choice(self, choice: Choice) -> Json:
        """One choice of a whole answer."""
        written = {"index": choice.index, "message": self.message(choice)}
        return self._finished(written, choice.finish, self.logprobs(choice.content))

    @abstractmethod
    def message(self, choice: Choice) -> Json:
        """The message of a whole answer."""

    def tool_calls(self, calls: Iterable[CallPieces]) -> list[Json]:
        """The tool calls of a whole message."""
        made = []
        for place, call in enumerate(calls):
            function = {"name": call.name, "arguments": "".join(call.arguments)}
            one = {"id": self._call_id(place), "type": "function", "function": function}
            made.append({"index": place, **one} if self.indexes_whole_calls else one)
        return made

    def logprobs(self, tokens: Iterable[str]) -> Json | None:
        """Log probabilities when they were asked for."""
        return None if self.ask.logprobs is None else chat_logprobs(tokens, self.ask.logprobs)

    def finish_words(self, finish: str | None) -> Json:
        """The finish reason, in all the words that the provider has for it."""
        return {"finish_reason": finish}

    def with_usage(self, body: Json, usage: Json | Usage) -> Json:
        """The body with its usage, if it has one."""
        if usage is not Usage.ABSENT:
            body["usage"] = None if usage is Usage.NULL else usage
        return body

    def _choice(self, index: int, delta: Json, finish: str | None, text: str | None) -> Json:
        logprobs = None if text is None or self.ask.logprobs is None else self.logprobs([text])
        return self._finished(self.increment(index, delta), finish, logprobs)

    def increment(self, index: int, delta: Json) -> Json:
        """The beginning of a choice in a chunk."""
        return {"index": index, "delta": delta}

    def _finished(self, choice: Json, finish: str | None, logprobs: Any) -> Json:
        if self.shows_logprobs or self.ask.logprobs is not None:
            choice["logprobs"] = logprobs
        choice.update(self.finish_words(finish))
        return choice

    def _call_id(self, place: int) -> str:
        return "" if self.behaviour.on("tools-empty-id") else self.call_id(place)

    def _call_fragment(self, delta: Delta) -> Json:
        behaviour = self.behaviour
        fragment: Json = {} if behaviour.on("tools-no-index") else {"index": delta.call}
        function = {"arguments": delta.text}
        if delta.part is Part.CALL or behaviour.on("tools-repeat-id"):
            fragment |= {"id": self._call_id(delta.call), "type": "function"}
            function = {"name": delta.name, "arguments": delta.text}
        if delta.part is Part.CALL and behaviour.on("tools-signature"):
            fragment["extra_content"] = {"google": {"thought_signature": f"Sandbox{delta.call}=="}}
        return {**fragment, "function": function}


def _padding(delta: Json) -> str:
    """Letters that bring chunks of different lengths closer together, so that their sizes tell less."""
    return ("k7Qz0pXw" * 4)[: 32 - len(orjson.dumps(delta)) % 32]
