"""Streams: every upstream's chunks into the one form that strict clients accept. The hot path of the service."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import (
    Event,
    LLMServiceError,
    Outcome,
    StreamInterrupted,
    UpstreamError,
    UpstreamInvalidResponse,
)
from llm_service.providers.base import UpstreamCall
from llm_service.providers.catalog import Server
from llm_service.providers.complaints import names_an_error
from llm_service.providers.deltas import Choices
from llm_service.providers.endings import Ending
from llm_service.providers.envelope import Envelope, around, has_extras
from llm_service.providers.mould import Mould, MouldedEvent, mould_of
from llm_service.providers.wire import is_failure, lenient
from llm_service.streams import encode

Fail = Callable[[object], LLMServiceError]
"""From an error inside a stream, or the finish reason of a failed answer, into our tree."""

MOST_MOULDS: Final = 16
"""So many are looked for in one stream: one whose chunks always differ elsewhere too is parsed."""


class StreamReader:
    """Reads one stream, chat or text completion.

    ``late_error`` is an error that came when the answer was complete: worth a log line, no reason to fail.
    """

    __slots__ = (
        "_begun", "_choices", "_early", "_ending", "_envelope", "_fail", "_mould", "_moulds_left", "_plain_id", "_seq",
        "_server", "has_content", "late_error",
    )  # fmt: skip

    def __init__(self, call: UpstreamCall, *, server: Server, fail: Fail) -> None:
        self.has_content = False
        self.late_error: LLMServiceError | None = None
        self._server = server
        self._fail = fail
        self._envelope = Envelope(call, own_ids=server.own_ids)
        self._choices = Choices(call)
        self._ending = Ending()
        self._early: list[dict[str, Any]] = []
        self._plain_id: str | None = None
        self._mould: Mould | None = None
        self._moulds_left = MOST_MOULDS
        self._begun = False
        self._seq = 0

    def read_into(self, batch: list[Event], server_events: Sequence[tuple[bytes, bytes]]) -> bool:
        """Add what these events, data and type, say to ``batch``; whether ``[DONE]`` is among them.

        Most chunks differ from the one before in their text alone: they are recognised by their bytes, and pass.
        """
        for data, kind in server_events:
            mould = self._mould
            if mould is not None and data.startswith(mould.before) and data.endswith(mould.after) and not kind:
                try:
                    orjson.loads(data[mould.string_at : mould.string_to])
                except orjson.JSONDecodeError:
                    pass  # it is not one string, or there is half a surrogate pair in it
                else:
                    self._seq = seq = self._seq + 1
                    passed = data if mould.out is mould.after else data[: mould.text_to] + mould.out
                    batch.append(MouldedEvent(seq, passed, mould))
                    continue
            if data == b"[DONE]":
                return True
            batch += self.read(data, kind)
        return False

    def read(self, data: bytes, kind: bytes = b"") -> Sequence[Event]:
        """One event's data and type. Raises LLMServiceError for an error event, or for one that is broken.

        What a well-behaved upstream sends in the middle of a stream is recognised here, at the price of a few look-ups,
        and passes as it is; everything else goes the long way.
        """
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            chunk, data = lenient(data)
        if b"\n" in data:
            data = data.replace(b"\n", b" ")  # it came over several lines, and leaves on one
        try:
            (choice,) = chunk["choices"]
            delta = choice["delta"]
            if (
                chunk["id"] == self._plain_id
                and chunk["created"] == self._envelope.created
                and chunk["model"] == self._envelope.model
                and chunk["object"] == "chat.completion.chunk"
                and choice["index"] == 0
                and choice.get("finish_reason") is None
                and "tool_calls" not in delta
                and type(delta.get("content")) is not list
                and ("role" not in delta or delta["role"] == "assistant")
                and "error" not in chunk
                and not kind
            ):
                told = data
                if "usage" in chunk:
                    data = self._without_usage(chunk, data)
                if self._moulds_left:
                    self._moulds_left -= 1
                    self._mould = mould_of(told, chunk) or self._mould
                self._seq = seq = self._seq + 1
                return (Event(seq, data, chunk=chunk),)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # not of that form
        return self._read(chunk, data, kind)

    def close(self, *, done: bool) -> tuple[Sequence[Event], Outcome]:
        """The terminal events and the outcome. A finish reason and the end of the stream make a complete answer,
        whether or not ``[DONE]`` came.

        Raises StreamInterrupted or another UpstreamError when the answer is not complete.
        """
        missing = sorted(self._choices.seen - self._ending.finished)
        if not self._ending.finished or (missing and not done):
            raise self._unfinished()
        return self._ending.events(self._seq + 1, missing=missing), self.outcome_so_far()

    def outcome_so_far(self) -> Outcome:
        """What is known by now."""
        return Outcome(
            status="ok",
            usage=self._ending.usage(),
            cost=self._ending.cost(self._server.cost),
            finish_reason=self._ending.finish_reason,
            upstream_id=self._envelope.upstream_id,
            response_model=self._envelope.told_model,
            late_error=self.late_error,
        )

    # -- the long way

    def _read(self, chunk: Any, data: bytes, kind: bytes) -> list[Event]:
        if not isinstance(chunk, dict):
            raise UpstreamInvalidResponse("The provider sent a stream event that is not a JSON object.")
        self._begun = True
        self._mould = None  # what is learned now may be other than what it says
        self._keep_usage(chunk, data)
        if kind == b"error" or names_an_error(chunk):
            return self._failed(chunk)
        changed = self._envelope.fix(chunk)
        choices = chunk.get("choices")
        if not choices:
            return self._without_choices(chunk, None if changed or choices is None else data)
        if not isinstance(choices, list) or set(map(type, choices)) != {dict}:
            raise UpstreamInvalidResponse("The provider sent a stream event whose choices are not a list of objects.")
        if "usage" in chunk:
            del chunk["usage"]
            changed = True
        early = self._late_beginnings() if self._early else []
        return early + self._with_choices(chunk, choices, None if changed else data)

    def _with_choices(self, chunk: dict[str, Any], choices: list[dict[str, Any]], raw: bytes | None) -> list[Event]:
        passing: list[dict[str, Any]] = []
        for position, choice in enumerate(choices):
            if self._choices.fix(choice, position):
                raw = None
            word = choice.get("finish_reason")
            if choice.get("error") or is_failure(word):
                self._failed(choice if choice.get("error") else word)
            elif word:
                raw = self._finish(choice, chunk, raw=raw if len(choices) == 1 else None, passing=passing)
            elif choice["index"] in self._ending.finished and not self._choices.carries(choice):
                self._ending.add(choice, around(chunk))
            else:
                passing.append(choice)
        if not passing:
            return []
        self._note(passing)
        if raw is None or len(passing) < len(choices):
            chunk = {**chunk, "choices": passing}
            raw = encode(chunk)
        return [self._event(raw, chunk)]

    def _finish(
        self, choice: dict[str, Any], chunk: dict[str, Any], *, raw: bytes | None, passing: list[dict[str, Any]]
    ) -> bytes | None:
        """Hold the finish of a choice back; content that rides on it passes at once. What is left of ``raw``."""
        rest, bare, changed = self._choices.finish(choice)
        if rest is not None:
            passing.append(rest)
        self._ending.hold(bare, around(chunk), None if changed else raw)
        self._plain_id = None
        return None if changed else raw

    def _without_choices(self, chunk: dict[str, Any], raw: bytes | None) -> list[Event]:
        """The usage chunk, which waits; findings of a content filter and the like, which pass; or nothing."""
        chunk["choices"] = []
        if chunk.get("usage"):
            self._ending.keep_usage_chunk(around(chunk), raw)
            return []
        if "usage" in chunk:
            del chunk["usage"]
            raw = None
        if not has_extras(chunk):
            return []
        if self._envelope.id is None:  # Azure's first event: the id comes with the next
            self._early.append(chunk)
            return []
        return [self._event(raw or encode(chunk), chunk)]

    def _late_beginnings(self) -> list[Event]:
        early, self._early = self._early, []
        events: list[Event] = []
        for chunk in early:
            self._envelope.fix(chunk)
            events.append(self._event(encode(chunk), chunk))
        return events

    def _event(self, raw: bytes, chunk: dict[str, Any]) -> Event:
        self._seq += 1
        return Event(self._seq, raw, chunk=chunk)

    def _note(self, passing: Sequence[dict[str, Any]]) -> None:
        """Whether content has come, and whether what follows may take the short way."""
        self.has_content = self.has_content or any(map(self._choices.shows, passing))
        if self.has_content and self._choices.are_plain and not self._ending.finished:
            self._plain_id = self._envelope.id

    def _without_usage(self, chunk: dict[str, Any], data: bytes) -> bytes:
        """The same chunk without its usage key, which most upstreams put last."""
        self._keep_usage(chunk, data)
        usage = chunk.pop("usage")
        if usage is None and data.endswith(b',"usage":null}'):
            return data[:-14] + b"}"
        return encode(chunk)

    def _keep_usage(self, chunk: dict[str, Any], data: bytes) -> None:
        usage = chunk.get("usage")
        if not usage and self._server.usage_beside:
            beside = chunk.get(self._server.usage_beside)
            usage = beside.get("usage") if isinstance(beside, dict) else None
        if usage and isinstance(usage, dict):
            self._ending.keep_usage(usage, data)

    def _failed(self, told: object) -> list[Event]:
        """Raise the error, unless the answer is complete: then nothing that follows takes it back."""
        error = self._fail(told)
        if not self._ending.finished or not self._choices.seen <= self._ending.finished:
            raise error
        self.late_error = error
        return []

    def _unfinished(self) -> UpstreamError:
        if self.has_content:
            return StreamInterrupted("The provider's stream broke off before the answer was complete.")
        if self._begun:
            return UpstreamInvalidResponse("The provider's stream ended without an answer.")
        return UpstreamError("The provider closed the stream before the answer began.")
