"""What the simulated providers have in common: routing inside a mount, credentials, reading, answering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from llm_service.sandbox.answer import Answer, compose
from llm_service.sandbox.ask import Ask, BadField
from llm_service.sandbox.behaviour import NORMAL, Behaviour
from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.delivery import Delivery
from llm_service.sandbox.journal import Entry
from llm_service.sandbox.messages import JSON_TYPE, Headers, Json, Reply, Request
from llm_service.sandbox.stream import Shape, items


@dataclass(slots=True)
class Call:
    """One request at one provider, with what its handler needs to know."""

    request: Request
    route: str  # the path behind the mount
    entry: Entry
    seed: int
    created: int
    pace_s: float
    behaviour: Behaviour = NORMAL
    judge: Callable[[Call, str], Behaviour] = field(default=lambda call, model: NORMAL)

    def dice(self, label: str) -> Dice:
        """Dice for ids: they differ from request to request."""
        return Dice(b"%d/%d/%d/%b" % (self.seed, self.entry.serial, self.created, label.encode()))


@dataclass(frozen=True, slots=True)
class ErrorCase:
    """One documented error. Strings in `body` may hold {placeholders}; a body that is a string is not JSON."""

    status: int
    body: Any
    headers: Headers = ()
    content_type: str = "application/json"


class Refusal(Exception):
    """An error of the table, to be sent instead of an answer."""

    def __init__(self, case: str, **values: object) -> None:
        super().__init__(case)
        self.case = case
        self.values = values


Handler = Callable[[Call], Reply]


class Dialect:
    """Base of the three dialects: finds the handler, checks the key, turns refusals into the provider's bodies."""

    name = ""
    errors: Mapping[str, ErrorCase] = {}
    comment = b"keep-alive"
    stream_type = ("content-type", "text/event-stream")

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Handler] = {}

    def answer(self, call: Call) -> Reply:
        """The reply to one request."""
        try:
            handler = self.handler(call)
            return handler(call)
        except Refusal as refusal:
            return self.refuse(call, refusal)
        except BadField as bad:
            return self.refuse(call, self.bad_field(bad))

    def handler(self, call: Call) -> Handler:
        """Find who answers; raises Refusal."""
        handler = self.routes.get((call.request.method, call.route))
        if handler is None:
            raise Refusal("404-path", path=call.request.path, method=call.request.method)
        self.check_key(call)
        return handler

    def check_key(self, call: Call) -> None:
        """Raise Refusal for a missing or bad credential."""
        raise NotImplementedError

    def bad_field(self, bad: BadField) -> Refusal:
        """The refusal for a field of the wrong form."""
        raise NotImplementedError

    def refuse(self, call: Call, refusal: Refusal) -> Reply:
        """Send an error of the table."""
        case = self.errors[refusal.case]
        values = {"model": call.entry.model, **refusal.values}
        body = case.body if isinstance(case.body, str) else None
        data = body.encode() if body is not None else orjson.dumps(filled(case.body, values))
        call.entry.status = case.status
        headers = (("content-type", case.content_type), *case.headers)
        return self.delivery(call, headers).whole(data, case.status)

    def body(self, call: Call) -> Json:
        """The request body as a JSON object; raises Refusal."""
        try:
            body = orjson.loads(call.request.body)
        except orjson.JSONDecodeError as error:
            raise Refusal("400-json", detail=str(error)) from None
        if not isinstance(body, dict):
            raise Refusal("400-json", detail="expected an object")
        return body

    def delivery(self, call: Call, headers: Headers) -> Delivery:
        return Delivery(call.entry, call.behaviour, headers, call.pace_s, self.comment)

    def whole(self, call: Call, body: Any, headers: Headers = ()) -> Reply:
        """Send an object."""
        return self.delivery(call, (JSON_TYPE, *headers)).whole(orjson.dumps(body))

    def stream(self, call: Call, answer: Answer, shape: Shape, headers: Headers = ()) -> Reply:
        """Send an answer as events."""
        delivery = self.delivery(call, (self.stream_type, ("cache-control", "no-cache"), *headers))
        return delivery.stream(items(answer, shape, call.behaviour))

    def composed(self, call: Call, ask: Ask, *, thinks: bool) -> Answer:
        """The answer to an ask, with its counts noted in the journal."""
        answer = compose(ask, seed=call.seed, thinks=thinks, behaviour=call.behaviour)
        call.entry.stream = ask.stream
        call.entry.input_tokens = answer.counts.input
        call.entry.cached_tokens = answer.counts.cached
        if not ask.stream:
            call.entry.output_tokens = answer.counts.output
        return answer


def filled(value: Any, values: Mapping[str, object]) -> Any:
    """A copy with the placeholders of its strings replaced; a string that is one placeholder takes the value's type."""
    if isinstance(value, str):
        if value.startswith("{") and value.endswith("}") and value[1:-1] in values:
            return values[value[1:-1]]
        for name, text in values.items():
            value = value.replace("{" + name + "}", str(text))
        return value
    if isinstance(value, dict):
        return {name: filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, values) for inner in value]
    return value


def bearer(headers: Mapping[str, str]) -> str | None:
    """The bearer credential; None when the header is there in another form, "" when it is missing."""
    header = headers.get("authorization")
    if header is None:
        return ""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def tool_calls(calls: Iterable[Any], ids: Iterable[str], *, indexed: bool) -> list[Json]:
    """The `tool_calls` of a whole message."""
    return [
        {
            **({"index": place} if indexed else {}),
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(call.arguments)},
        }
        for place, (call, call_id) in enumerate(zip(calls, ids, strict=True))
    ]
