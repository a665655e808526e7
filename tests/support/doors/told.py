"""What a door tells of an answer, in one form for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """The usage of an answer."""

    input: int
    output: int
    cached: int
    reasoning: int


class Call(NamedTuple):
    """A call of a tool, or what a piece adds to it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the answers, or what a piece adds to it: its calls by their number."""

    text: str = ""
    reasoning: str = ""
    calls: Mapping[int, Call] = field(default_factory=dict)
    finish_reason: str | None = None

    @property
    def without_ids(self) -> "Choice":
        """The same where the model gives the same calls other ids each time."""
        return replace(self, calls={at: call._replace(id="") for at, call in self.calls.items()})


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One event of a stream. ``raw``: the provider's chunk, without what the service adds to it."""

    seq: int
    cursor: str
    raw: Any
    choices: Mapping[int, Choice]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error. ``retry_after_s``: when to come again, where that is told."""

    code: str
    type: str | None = None
    param: str | None = None
    provider: str | None = None
    retryable: bool | None = None
    limit: Mapping[str, Any] | None = None
    retry_after_s: float | None = None
    message: str = ""

    @property
    def kind(self) -> tuple[Any, ...]:
        """What of an error is the same through each door."""
        return self.code, self.type, self.provider, self.retryable


@dataclass(frozen=True, kw_only=True)
class Told:
    """An answer as the client has it. ``pieces`` are ``None`` where it came whole; ``failure``: how it ended badly."""

    choices: Mapping[int, Choice] = field(default_factory=dict)
    usage: Tokens | None = None
    cost_usd: str | None = None
    cost_source: str | None = None
    cache: str | None = None
    provider: str | None = None
    model: str | None = None
    attempts: int | None = None
    request_id: str | None = None
    stream_id: str | None = None
    pieces: Sequence[Piece] | None = None
    failure: Failure | None = None

    @property
    def text(self) -> str:
        return self.choices[0].text

    @property
    def reasoning(self) -> str:
        return self.choices[0].reasoning

    @property
    def tool_calls(self) -> Sequence[Call]:
        return list(self.choices[0].calls.values())

    @property
    def finish_reason(self) -> str | None:
        return self.choices[0].finish_reason

    @property
    def code(self) -> str | None:
        """The code of the error, if there was one."""
        return None if self.failure is None else self.failure.code

    @property
    def answer(self) -> tuple[Any, ...]:
        """What must be the same through each door when the same is asked: all but the ids of calls."""
        facts = self.usage, self.cost_usd, self.cost_source, self.provider, self.model, self.attempts, self.failure
        return {index: choice.without_ids for index, choice in self.choices.items()}, *facts


def added_up(pieces: Iterable[Piece]) -> dict[int, Choice]:
    """What the pieces say together, by the number of the choice."""
    choices: dict[int, Choice] = {}
    for piece in pieces:
        for index, choice in piece.choices.items():
            choices[index] = _together(choices.get(index, Choice()), choice)
    return choices


def _together(one: Choice, more: Choice) -> Choice:
    calls = dict(one.calls)
    for number, call in more.calls.items():
        begun = calls.get(number, Call("", "", ""))
        calls[number] = Call(begun.id or call.id, begun.name or call.name, begun.arguments + call.arguments)
    return Choice(
        text=one.text + more.text,
        reasoning=one.reasoning + more.reasoning,
        calls=calls,
        finish_reason=one.finish_reason or more.finish_reason,
    )


# -- OpenAI's objects


def choices_in(told: Mapping[str, Any], part: str) -> dict[int, Choice]:
    """The choices of an OpenAI object; ``part``: ``message`` or ``delta``."""
    return {choice["index"]: _choice(choice, choice.get(part) or {}) for choice in told.get("choices") or ()}


def _choice(choice: Mapping[str, Any], said: Mapping[str, Any]) -> Choice:
    return Choice(
        text=said.get("content") or "",
        reasoning=said.get("reasoning_content") or said.get("reasoning") or "",
        calls={call.get("index", at): call_in(call) for at, call in enumerate(said.get("tool_calls") or ())},
        finish_reason=choice.get("finish_reason"),
    )


def call_in(call: Mapping[str, Any]) -> Call:
    function = call.get("function") or {}
    return Call(call.get("id") or "", function.get("name") or "", function.get("arguments") or "")


def tokens_in(usage: Mapping[str, Any] | None) -> Tokens | None:
    """OpenAI's usage."""
    if usage is None:
        return None
    read, written = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return Tokens(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        read.get("cached_tokens") or 0,
        written.get("reasoning_tokens") or 0,
    )


def failure_in(body: Mapping[str, Any], *, retry_after_s: float | None = None) -> Failure:
    """The error that a body of REST, or a frame of a WebSocket, tells."""
    error = body["error"]
    return Failure(
        code=error["code"],
        type=error["type"],
        param=error["param"],
        provider=body["provider"],
        retryable=body["retryable"],
        limit=body.get("limit"),
        retry_after_s=retry_after_s,
        message=error["message"],
    )
