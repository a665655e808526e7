"""What the simulated providers have in common: routing inside a mount, credentials, reading, answering, failing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson

from llm_service.sandbox.answer import Answer, compose
from llm_service.sandbox.ask import Ask, BadField
from llm_service.sandbox.behaviour import NORMAL, PREFIXES, BadBehaviour, Behaviour
from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.delivery import Delivery
from llm_service.sandbox.dialects.errors import Errors, Refusal, error_in, filled
from llm_service.sandbox.dialects.shape import ChunkShape
from llm_service.sandbox.journal import Entry
from llm_service.sandbox.messages import JSON_TYPE, Headers, Json, Reply, Request
from llm_service.sandbox.mid_errors import STYLES, MidError, broken_off, only_error
from llm_service.sandbox.stream import Item, items

DEFAULT_ERROR_PLACE: Final = 3
_MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class Call:
    """One request at one provider, with what its handler needs to know."""

    request: Request
    route: str  # the path behind the mount
    entry: Entry
    seed: int
    at: float  # seconds since 1970
    pace_s: float
    judge: Callable[[Call, Json], Behaviour]
    behaviour: Behaviour = NORMAL

    @property
    def created(self) -> int:
        """As the `created` of answers."""
        return int(self.at)

    def dice(self, label: str) -> Dice:
        """Dice for ids: they differ from request to request."""
        return Dice(b"%d/%d/%d/%b" % (self.seed, self.entry.serial, self.created, label.encode()))


Handler = Callable[[Call], Reply]


class Dialect(ABC):
    """Base of the dialects: finds the handler, checks the key, turns refusals into the provider's bodies."""

    name = ""
    errors: Errors
    comment = b"keep-alive"
    event_stream = "text/event-stream"
    errors_in_chunks = False
    bad_keys: ClassVar[Mapping[str, str]] = {"sk-bad": "401"}  # keys that are always refused, by prefix: the error's id
    spent_keys: ClassVar[Mapping[str, str]] = {}  # keys that can look, but not buy

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Handler] = {}

    def answer(self, call: Call) -> Reply:
        """The reply to one request."""
        try:
            handler = self._handler(call)
            if call.request.method == "GET":
                self._judge(call, {})
            return handler(call)
        except Refusal as refusal:
            return self.refuse(call, refusal)
        except BadField as bad:
            return self.refuse(call, self.bad_field(bad))

    @abstractmethod
    def check_key(self, call: Call) -> None:
        """Raise Refusal for a missing or bad credential."""

    @abstractmethod
    def bad_field(self, bad: BadField) -> Refusal:
        """The refusal for a field of the wrong form."""

    @abstractmethod
    def knows(self, model: str) -> bool:
        """Whether the provider has the model; names of the sandbox itself exist everywhere."""

    def body(self, call: Call) -> Json:
        """The request body as a JSON object; raises Refusal."""
        try:
            body = orjson.loads(call.request.body)
        except orjson.JSONDecodeError as error:
            raise Refusal("400-json", detail=str(error)) from None
        if not isinstance(body, dict):
            raise Refusal("400-json", detail="the body is not an object")
        return body

    def meet(self, call: Call, body: Json, model: str) -> None:
        """Learn which model is meant and what is to happen to the request; raises the error that it asks for."""
        call.entry.model = model
        self._judge(call, body)
        if not self.knows(model):
            raise Refusal("model")

    def _judge(self, call: Call, body: Json) -> None:
        call.behaviour = call.judge(call, body)
        if (case := call.behaviour.word("error") or call.behaviour.word("error-in-200")) is not None:
            raise Refusal(case)

    def composed(self, call: Call, ask: Ask, *, thinks: bool) -> Answer:
        """The answer to an ask, with its counts noted in the journal."""
        answer = compose(ask, seed=call.seed, thinks=thinks, behaviour=call.behaviour)
        call.entry.stream = ask.stream
        call.entry.input_tokens = answer.counts.input
        call.entry.cached_tokens = answer.counts.cached
        call.entry.reasoning_tokens = answer.counts.reasoning
        return answer

    def deliver(self, call: Call, answer: Answer, shape: ChunkShape, headers: Headers = ()) -> Reply:
        """Send an answer, whole or as events, or as much of it as the behaviour lets through."""
        first, mid = call.behaviour.word("error-first"), call.behaviour.word("error-mid")
        if shape.ask.stream:
            return self._stream(call, self._events(call, answer, shape), headers)
        if first is not None or (mid is not None and mid != "in-choice"):
            raise Refusal(self._case_of(first or mid))
        body = shape.whole(answer)
        if mid is not None:
            body["choices"][0] |= {"finish_reason": "error", "error": self._error_object(call, self._case_of(mid))}
        call.entry.output_tokens = answer.counts.output
        return self.whole(call, body, headers)

    def whole(self, call: Call, body: Any, headers: Headers = ()) -> Reply:
        """Send an object."""
        return self._delivery(call, (JSON_TYPE, *headers)).whole(orjson.dumps(body))

    def refuse(self, call: Call, refusal: Refusal) -> Reply:
        """Send an error of the table."""
        case = self.errors.get(refusal.case)
        if case is None:
            known = ", ".join(sorted(self.errors))
            raise BadBehaviour(f"{self.name} has no error {refusal.case!r}; it has {known}")
        values = self._values(call, refusal)
        body = filled(case.body, values)
        data = body.encode() if isinstance(body, str) else orjson.dumps(body)
        headers = tuple((name, str(filled(value, values))) for name, value in case.headers)
        if (retry_after := call.behaviour.word("retry-after")) is not None:
            headers = (*(pair for pair in headers if pair[0] != "retry-after"), ("retry-after", retry_after))
        status = 200 if call.behaviour.on("error-in-200") else case.status
        return self._delivery(call, (("content-type", case.content_type), *headers)).whole(data, status)

    def _handler(self, call: Call) -> Handler:
        handler = self.routes.get((call.request.method, call.route)) or self.found(call)
        if handler is None:
            raise Refusal("path", path=call.request.path, method=call.request.method)
        self.check_key(call)
        return handler

    def found(self, call: Call) -> Handler | None:
        """The handler of a path with a variable in it."""
        return None

    def refuse_scripted_key(self, key: str, *, spends: bool) -> None:
        """Raise Refusal for keys that stand for an account in trouble, and for what is no key at all."""
        troubles = {**self.bad_keys, **self.spent_keys} if spends else self.bad_keys
        for prefix, case in troubles.items():
            if key.startswith(prefix):
                raise Refusal(case, tail=key[-4:], hint=_hint(key))
        if not key.startswith("sk-"):
            raise Refusal("401", tail=key[-4:], hint=_hint(key))

    def _delivery(self, call: Call, headers: Headers) -> Delivery:
        return Delivery(call.entry, call.behaviour, headers, call.pace_s, self.comment)

    def _stream(self, call: Call, events: Iterator[Item], headers: Headers) -> Reply:
        head = (("content-type", self.event_stream), ("cache-control", "no-cache"), *headers)
        return self._delivery(call, head).stream(events)

    def _events(self, call: Call, answer: Answer, shape: ChunkShape) -> Iterator[Item]:
        behaviour = call.behaviour
        if (first := behaviour.word("error-first")) is not None:
            return only_error(self.comment, self._mid_error(call, shape, self._case_of(first)).events("documented"))
        events = self.dressed(call, items(answer, shape, behaviour))
        if (style := behaviour.word("error-mid")) is None:
            return events
        error = self._mid_error(call, shape, self._case_of(style))
        place = behaviour.count("at")
        return broken_off(events, error.events(style), after=DEFAULT_ERROR_PLACE if place is None else place)

    def dressed(self, call: Call, events: Iterator[Item]) -> Iterator[Item]:
        """The events with what a provider adds on its own account."""
        return events

    def _mid_error(self, call: Call, shape: ChunkShape, case: str) -> MidError:
        error = self._error_object(call, case)
        return MidError(
            shape.base, error, lambda: shape.figures(shape.counted(call.entry.output_tokens)), self.errors_in_chunks
        )

    def _error_object(self, call: Call, case: str) -> Json:
        return error_in(filled(self.errors[case].body, self._values(call, Refusal(case))))

    def _case_of(self, word: str | None) -> str:
        """The case behind a style of mid-stream error: the provider's usual one unless the word is a case."""
        if word in self.errors:
            return str(word)
        if word in STYLES:
            return "usual"
        raise BadBehaviour(f"no error and no style {word!r}; styles are {', '.join(STYLES)}")

    def _values(self, call: Call, refusal: Refusal) -> dict[str, object]:
        now_ms = int(call.at * 1000)
        return {
            "model": call.entry.model,
            "message": "Invalid request",
            "param": None,
            "field": "unknown",
            "detail": "expected value at line 1 column 1",
            "tail": "test",
            "hint": "sk-test***test",
            "path": call.request.path,
            "method": call.request.method,
            "index": 0,
            "call_id": "call-a",
            "id": "gen-0",
            **_CONTEXT,
            "minute_ms": str(now_ms - now_ms % _MINUTE_MS + _MINUTE_MS),
            "day_ms": str(now_ms - now_ms % (24 * 60 * _MINUTE_MS) + 24 * 60 * _MINUTE_MS),
            **refusal.values,
        }


_CONTEXT: Final = {"context": 8192, "asked": 9000, "input": 8000, "output": 1000}
"""Figures of an error that is only scripted."""


def _hint(key: str) -> str:
    return f"{key[:7]}***{key[-4:]}"


def is_ours(model: str) -> bool:
    """Whether a model name belongs to the sandbox itself."""
    return model.startswith(PREFIXES)


def bearer(headers: Mapping[str, str]) -> str | None:
    """The bearer credential: "" when the header is missing, None when it has another form."""
    header = headers.get("authorization")
    if header is None:
        return ""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None
