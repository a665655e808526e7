"""What a stream holds back until its end: the finish reasons of its choices, and the usage, in any form."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llm_service.domain import Cost, Event, Usage
from llm_service.providers.metering import CostForm, cost_of, usage_of
from llm_service.streams import encode

_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


class Ending:
    """Collects the endings of one stream and tells them once: one finish chunk, then one usage chunk.

    Upstreams repeat the finish chunk with the usage, send the usage in a chunk that says again that nothing is
    finished, put it on the finish chunk, on every chunk, or on one without choices.
    """

    __slots__ = ("_choices", "_finish", "_finish_raw", "_usage", "_usage_chunk", "_usage_data", "_usage_raw")

    def __init__(self) -> None:
        self._choices: dict[int, dict[str, Any]] = {}
        self._finish: dict[str, Any] = {}
        self._finish_raw: bytes | None = None
        self._usage: Mapping[str, Any] | None = None
        self._usage_chunk: dict[str, Any] = {}
        self._usage_data = b""
        self._usage_raw: bytes | None = None

    @property
    def finished(self) -> frozenset[int]:
        """The choices whose finish reason has come."""
        return frozenset(self._choices)

    @property
    def finish_reason(self) -> str | None:
        """That of the first choice."""
        return self._choices[min(self._choices)]["finish_reason"] if self._choices else None

    def hold(self, choice: dict[str, Any], chunk: dict[str, Any], raw: bytes | None) -> None:
        """Keep a choice that has finished, and what its chunk says besides. ``raw``: the chunk as it may go out.

        The first finish reason stands; whatever else a repetition says is added.
        """
        index = choice["index"]
        before = self._choices.get(index)
        self._finish_raw = raw if not self._finish else None
        self._choices[index] = choice if before is None else {**choice, **_said(before)}
        self._finish = {**self._finish, **chunk}

    def add(self, choice: dict[str, Any], chunk: dict[str, Any]) -> None:
        """What comes for a choice after its end, and is no content."""
        held = self._choices[choice["index"]]
        news = {key: value for key, value in _said(choice).items() if held.get(key) is None}
        if news:
            self._choices[choice["index"]] = {**held, **news}
            self._finish_raw = None
        if any(key not in self._finish for key in chunk):
            self._finish = {**chunk, **self._finish}
            self._finish_raw = None

    def keep_usage(self, usage: Mapping[str, Any], data: bytes) -> None:
        """Token counts; the last that come hold. ``data``: the bytes that carry them, for the exact cost."""
        self._usage = usage
        self._usage_data = data
        self._usage_raw = None
        self._usage_chunk = {}

    def keep_usage_chunk(self, chunk: dict[str, Any], raw: bytes | None) -> None:
        """The chunk around the usage. ``raw``: the whole chunk as it may go out."""
        self._usage_chunk = chunk
        self._usage_raw = raw

    def usage(self) -> Usage | None:
        """The counts, ours."""
        return usage_of(self._usage)

    def cost(self, form: CostForm | None) -> Cost | None:
        """The provider's own figure."""
        return cost_of(self._usage_data, form) if self._usage_data else None

    def events(self, seq: int, *, missing: Sequence[int] = ()) -> list[Event]:
        """The terminal events, numbered from ``seq``. ``missing``: choices that ended without a reason."""
        events = [self._finish_event(seq, missing)]
        if (usage := self.usage()) is not None and self._usage is not None:
            told = _complete(self._usage, usage)
            chunk = {**(self._usage_chunk or self._finish), "choices": [], "usage": told}
            raw = self._usage_raw if self._usage_raw is not None and told == self._usage else encode(chunk)
            events.append(Event(seq + 1, raw, "usage", chunk=chunk))
        return events

    def _finish_event(self, seq: int, missing: Sequence[int]) -> Event:
        for index in missing:
            self._choices[index] = {"index": index, "delta": {}, "finish_reason": "stop"}
        choices = [self._choices[index] for index in sorted(self._choices)]
        chunk = {**self._finish, "choices": choices}
        raw = self._finish_raw if self._finish_raw is not None and len(choices) == 1 else encode(chunk)
        return Event(seq, raw, "finish", chunk=chunk)


def _said(choice: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in choice.items() if value is not None}


def _complete(told: Mapping[str, Any], usage: Usage) -> Mapping[str, Any]:
    """The provider's own counts, with the three that every client reads."""
    if all(type(told.get(name)) is int for name in _COUNTS):
        return told
    ours = (usage.input_tokens, usage.output_tokens, usage.input_tokens + usage.output_tokens)
    return {**told, **dict(zip(_COUNTS, ours, strict=True))}
